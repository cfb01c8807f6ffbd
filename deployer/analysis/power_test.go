package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestDetectableErrors holds what is foreseen against what happens.
func TestDetectableErrors(t *testing.T) {
	s := Default()
	for _, tr := range []Traffic{
		{RPS: 30, Share: 0.1}, {RPS: 30, Share: 0.5, Errors: 0.01}, {RPS: 300, Share: 0.1, Errors: 0.001},
	} {
		const within = 30 * time.Second
		rise, ok := s.DetectableErrors(tr, 4, within)
		if !ok {
			t.Errorf("%+v: nothing can be found", tr)
			continue
		}
		x := Excess{Share: tr.Share, Ratio: s.Errors.Ratio, Margin: s.Errors.Margin}.bets()
		const runs = 400
		missed := misses(runs, 4, func(r *rand.Rand) bool {
			var c, st Tally
			for range int(tr.RPS * within.Seconds()) {
				side, rate := &st, tr.Errors
				if r.Float64() < tr.Share {
					side, rate = &c, tr.Errors+rise
				}
				side.N++
				if r.Float64() < rate {
					side.K++
				}
				if PValue(x.logE(c, st)) <= s.TestAlpha(4) {
					return false
				}
			}
			return true
		})
		if found := 1 - float64(missed)/runs; found < 0.72 || found > 0.95 {
			t.Errorf("%+v: a rise of %.3g is found in %.2f of the runs, foreseen %.2f", tr, rise, found, Power)
		}
	}
}

func TestTimeToDetect(t *testing.T) {
	s, tr := Default(), Traffic{RPS: 30, Share: 0.1}
	large, ok1 := s.TimeToDetect(tr, 4, 0.5, time.Hour)
	small, ok2 := s.TimeToDetect(tr, 4, 0.02, time.Hour)
	if !ok1 || !ok2 || large >= small || large > 10*time.Second {
		t.Errorf("50 points in %s (%t), 2 points in %s (%t)", large, ok1, small, ok2)
	}
	if d, ok := s.TimeToDetect(tr, 4, 0.0005, time.Hour); ok {
		t.Errorf("a rise within the margin is found in %s", d)
	}
	if d, ok := s.TimeToDetect(Traffic{RPS: 30, Share: 1}, 4, 0.5, time.Hour); ok {
		t.Errorf("without stable traffic it is found in %s", d)
	}
}

func TestDetectableShift(t *testing.T) {
	s, tr := Default(), Traffic{RPS: 300, Share: 0.1}
	short, ok1 := s.DetectableShift(tr, 4, 30*time.Second, 0.3, 3)
	long, ok2 := s.DetectableShift(tr, 4, time.Hour, 0.3, 3)
	if !ok1 || !ok2 || !(long < short) || long < s.Classes.Tolerance {
		t.Errorf("%g (%t) in 30 s, %g (%t) in an hour", short, ok1, long, ok2)
	}
}

func TestForesee(t *testing.T) {
	s := Default()
	for _, tc := range []struct {
		traffic Traffic
		want    []string
	}{
		{Traffic{RPS: 30, Share: 0.1}, []string{"at 30 requests/s and 10 %: ", "points of error rate in 40s", "class"}},
		{Traffic{RPS: 1, Share: 0.1}, []string{"take 8m20s, longer than the bake", "no rise of the error rate"}},
		{Traffic{RPS: 1, Share: 1}, []string{"limits only"}},
		{Traffic{RPS: 0, Share: 0.1}, []string{"no rise of the error rate"}},
	} {
		got := strings.Join(s.Foresee(tc.traffic, 4, 40*time.Second), "\n")
		for _, want := range tc.want {
			if !strings.Contains(got, want) {
				t.Errorf("%+v: %q lacks %q", tc.traffic, got, want)
			}
		}
	}
}

func TestUnlucky(t *testing.T) {
	// P(Poisson(3) ≥ 2) = 0.80085, P(Poisson(3) ≥ 3) = 0.577.
	if got := unlucky(100, 0.03); got != 2 {
		t.Errorf("of Poisson(3): %g, want 2", got)
	}
	if got := unlucky(5, 1); got > 5 {
		t.Errorf("%g events on 5 requests", got)
	}
	if got, want := unlucky(10000, 0.5), 5000-0.8416*50; math.Abs(got-want) > 1e-9 {
		t.Errorf("of many: %g, want %g", got, want)
	}
}
