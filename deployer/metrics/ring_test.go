package metrics

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// ring serves lines after a sequence number, as the inference server does.
type ring struct {
	process string
	lines   []string // with seq 1, 2, …
}

func (r *ring) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	after, err := strconv.Atoi(req.URL.Query().Get("after"))
	if err != nil || req.URL.Path != "/weir/ring" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Weir-Instance", r.process)
	for i := after; i < len(r.lines); i++ {
		fmt.Fprintf(w, `{"seq":%d,"time":"2026-01-01T00:00:00Z",%s}`+"\n", i+1, r.lines[i])
	}
}

func row(id string, row, rows int, prediction string) string {
	return fmt.Sprintf(`"request_id":%q,"row":%d,"rows":%d,"prediction":%s`, id, row, rows, prediction)
}

func TestRingReader(t *testing.T) {
	r := &ring{process: "p1"}
	target := Target{Alloc: "a", Addr: serve(t, r)}
	reader := NewRingReader(scraper(t, 0))
	read := func(want ...string) {
		t.Helper()
		got, err := reader.Read(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, o := range got {
			have = append(have, o.ID+" "+string(o.Value))
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("read %q, want %q", have, want)
		}
	}
	read()
	r.lines = append(r.lines, row("1", 0, 1, `"cat"`), row("2", 0, 2, "1.5"))
	read(`1 ["cat"]`) // the second row of 2 is still being written
	r.lines = append(r.lines, row("2", 1, 2, "2.5"), `"request_id":"3","error":"overloaded","row":0,"rows":0`)
	read("2 [1.5,2.5]", `3 {"error":"overloaded"}`)
	read()
	r.lines = append(r.lines, row("4", 1, 2, "1"), row("5", 0, 1, "[1,2]")) // the first row of 4 was overwritten
	read("5 [[1,2]]")
	r.process, r.lines = "p2", []string{row("6", 0, 1, "7")} // the instance restarted
	read("6 [7]")
	for i := range 20 {
		r.lines = append(r.lines, row("7", i, 20, "0"))
	}
	r.lines = r.lines[:1+maxRows] // no more rows are kept
	read("7 [" + strings.Repeat("0,", maxRows-1) + "0]")
}

func TestRingReaderRefuses(t *testing.T) {
	for name, h := range map[string]http.Handler{
		"forbidden": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
		}),
		"no JSON": text("<html>"),
	} {
		reader := NewRingReader(scraper(t, 0))
		if got, err := reader.Read(t.Context(), Target{Addr: serve(t, h)}); err == nil {
			t.Errorf("%s: %v and no error", name, got)
		}
	}
}
