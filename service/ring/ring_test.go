package ring_test

import (
	"sync"
	"testing"

	"github.com/weirhq/weir/service/ring"
)

func TestKeepsTheNewest(t *testing.T) {
	r := ring.New(4)
	dst := make([]ring.Entry, 10)
	if n := r.After(0, dst); n != 0 {
		t.Fatalf("an empty ring gives %d entries", n)
	}
	for i := range 6 {
		r.Add([]ring.Entry{{Row: i}})
	}
	for _, tt := range []struct{ after, limit, first, count int }{
		{0, 10, 3, 4}, {3, 10, 4, 3}, {5, 10, 6, 1}, {6, 10, 0, 0}, {99, 10, 0, 0}, {0, 2, 3, 2},
	} {
		n := r.After(uint64(tt.after), dst[:tt.limit])
		if n != tt.count {
			t.Errorf("after %d: %d entries, want %d", tt.after, n, tt.count)
			continue
		}
		for i, e := range dst[:n] {
			if want := uint64(tt.first + i); e.Seq != want || e.Row != int(want)-1 {
				t.Errorf("after %d: entry %d is %d (row %d), want %d", tt.after, i, e.Seq, e.Row, want)
			}
		}
	}
}

func TestEntriesOfARequestStayTogether(t *testing.T) {
	r := ring.New(1000)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 20 {
				r.Add([]ring.Entry{{Rows: g, Row: 0}, {Rows: g, Row: 1}, {Rows: g, Row: 2}})
			}
		})
	}
	wg.Wait()
	dst := make([]ring.Entry, 1000)
	if n := r.After(0, dst); n != 240 {
		t.Fatalf("%d entries, want 240", n)
	}
	for i, e := range dst[:240] {
		if e.Row != i%3 || e.Rows != dst[i/3*3].Rows {
			t.Fatalf("entry %d is row %d of %d", i, e.Row, e.Rows)
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	r, entries := ring.New(16), []ring.Entry{{ID: "a"}}
	if n := testing.AllocsPerRun(100, func() { r.Add(entries) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
