package analysis

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

var stepBegan = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// snap is a snapshot with ok answers and errors, of an instance that started before the step.
func snap(alloc, release string, ok, errs uint64) Snapshot {
	return Snapshot{
		Alloc: alloc, Release: release, Started: stepBegan.Add(-time.Hour),
		Counts: Counts{
			Codes:   map[int]uint64{200: ok, 500: errs},
			Latency: Histogram{Edges: []float64{0.1}, Counts: []uint64{ok, errs}},
			Classes: map[string]uint64{"a": ok},
		},
	}
}

func restarted(s Snapshot, after time.Duration) Snapshot {
	s.Started = stepBegan.Add(after)
	return s
}

func unread(alloc, release string) Snapshot {
	return Snapshot{Alloc: alloc, Release: release, Err: errors.New("connection refused")}
}

func TestTracker(t *testing.T) {
	type want struct{ ok, errs, listed, answered int }
	for _, tc := range []struct {
		name  string
		looks [][]Snapshot
		want  want // of the canary
	}{
		{"the first look is the base line", [][]Snapshot{{snap("1", "new", 100, 5)}}, want{0, 0, 1, 1}},
		{
			"counts since the step began",
			[][]Snapshot{{snap("1", "new", 100, 5)}, {snap("1", "new", 150, 6)}},
			want{50, 1, 1, 1},
		},
		{
			"several instances",
			[][]Snapshot{
				{snap("1", "new", 100, 5), snap("2", "new", 7, 0)},
				{snap("1", "new", 150, 6), snap("2", "new", 17, 2)},
			},
			want{60, 3, 2, 2},
		},
		{
			"a counter reset keeps what was before",
			[][]Snapshot{{snap("1", "new", 100, 5)}, {snap("1", "new", 150, 6)}, {snap("1", "new", 20, 1)}},
			want{70, 2, 1, 1},
		},
		{
			"a restart that nothing but the start time shows",
			[][]Snapshot{
				{snap("1", "new", 1, 0)},
				{snap("1", "new", 3, 0)},
				{restarted(snap("1", "new", 30, 1), time.Second)},
			},
			want{32, 1, 1, 1},
		},
		{
			"an instance that goes keeps its part",
			[][]Snapshot{
				{snap("1", "new", 100, 5), snap("2", "new", 0, 0)},
				{snap("1", "new", 150, 6), snap("2", "new", 1, 0)},
				{snap("2", "new", 2, 0)},
			},
			want{52, 1, 1, 1},
		},
		{
			"an instance that goes and comes back counts once",
			[][]Snapshot{{snap("1", "new", 100, 5)}, {snap("1", "new", 150, 6)}, {}, {snap("1", "new", 160, 6)}},
			want{60, 1, 1, 1},
		},
		{
			"a young instance that goes and comes back counts once",
			[][]Snapshot{
				{},
				{restarted(snap("1", "new", 10, 0), time.Second)},
				{},
				{restarted(snap("1", "new", 12, 0), time.Second)},
			},
			want{12, 0, 1, 1},
		},
		{
			"an instance that is younger than the step counts in full",
			[][]Snapshot{{}, {restarted(snap("3", "new", 9, 1), time.Second)}},
			want{9, 1, 1, 1},
		},
		{
			"the first look is the base line also where the guardian's clock is behind the instance's",
			[][]Snapshot{
				{restarted(snap("1", "new", 900, 1), time.Minute)},
				{restarted(snap("1", "new", 905, 1), time.Minute)},
			},
			want{5, 0, 1, 1},
		},
		{
			"an older instance seen late begins at its first reading",
			[][]Snapshot{{}, {snap("3", "new", 900, 1)}, {snap("3", "new", 905, 1)}},
			want{5, 0, 1, 1},
		},
		{
			"an instance that can't be read at first begins at its first reading",
			[][]Snapshot{{unread("1", "new")}, {snap("1", "new", 900, 1)}, {snap("1", "new", 905, 1)}},
			want{5, 0, 1, 1},
		},
		{
			"an instance that can't be read keeps what was read",
			[][]Snapshot{{snap("1", "new", 100, 5)}, {snap("1", "new", 150, 6)}, {unread("1", "new")}},
			want{50, 1, 1, 0},
		},
		{
			"other releases are left out",
			[][]Snapshot{
				{snap("1", "new", 0, 0), snap("9", "other", 0, 0)},
				{snap("1", "new", 3, 1), snap("9", "other", 99, 99)},
			},
			want{3, 1, 1, 1},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tracker := NewTracker("new", "old", stepBegan)
			var got Side
			for _, look := range tc.looks {
				got, _ = tracker.Look(look)
			}
			have := want{int(got.Codes[200]), int(got.Codes[500]), got.Listed, got.Answered}
			if have != tc.want {
				t.Errorf("%+v, want %+v", have, tc.want)
			}
			classes, latencies := int(got.Classes["a"]), int(got.Latency.Total())
			if tc.want.ok > 0 && (classes != tc.want.ok || latencies != tc.want.ok+tc.want.errs) {
				t.Errorf("classes %v and latency %v don't go with %+v", got.Classes, got.Latency, tc.want)
			}
			if got.Answered < got.Listed && got.Trouble == "" {
				t.Error("no word of the instance that did not answer")
			}
		})
	}
}

func TestTrackerLeavesSnapshotsAlone(t *testing.T) {
	tracker := NewTracker("new", "old", stepBegan)
	first, second := snap("1", "old", 1, 0), snap("1", "old", 5, 1)
	tracker.Look([]Snapshot{first})
	_, stable := tracker.Look([]Snapshot{second})
	if stable.Requests() != 5 || stable.Release != "old" {
		t.Errorf("stable counted %+v", stable)
	}
	stable.Codes[200] = 77
	_, again := tracker.Look([]Snapshot{second})
	if again.Requests() != 5 || !reflect.DeepEqual(second, snap("1", "old", 5, 1)) {
		t.Error("a look changed a snapshot, or what a look returned is shared")
	}
}
