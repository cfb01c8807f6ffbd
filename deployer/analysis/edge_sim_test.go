package analysis

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// edge is traffic through an ingress: an attempt that gets no answer is made again, at the other instances of the drawn
// release and then at stable's, as backup of the canary. Instances count what they answer and nothing else.
type edge struct {
	shape  shape
	canary int                            // instances
	stable int                            // instances
	poison float64                        // part of the requests that get no answer from any instance
	blips  float64                        // part of the attempts that get none
	resets float64                        // likewise, at the canary only: what is wrong with it
	count  func(e *Attempts) countAttempt // which attempts are evidence
}

// countAttempt takes in an attempt at an instance: of a canary, of which draw, the how-manieth, and what came of it.
type countAttempt func(atCanary, drawnCanary bool, nth, code int)

// firstAttempts is what Weir counts.
func firstAttempts(e *Attempts) countAttempt {
	return func(_, drawnCanary bool, nth, code int) {
		if nth == 0 {
			e.of(drawnCanary)[code]++
		}
	}
}

// allAttempts counts each attempt for the release at which it was made, as a proxy's own statistics do.
func allAttempts(e *Attempts) countAttempt {
	return func(atCanary, _ bool, _, code int) { e.of(atCanary)[code]++ }
}

func (a *Attempts) of(canary bool) map[int]uint64 {
	if canary {
		return a.Canary
	}
	return a.Stable
}

// step is shape.step with an ingress in between.
func (e edge) step(r *rand.Rand, spec Spec, share float64) (Verdict, time.Duration) {
	ev := Evidence{
		Share:    share,
		Canary:   Side{Release: "new", Listed: 1, Answered: 1, Counts: noCounts()},
		Stable:   Side{Release: "old", Listed: 1, Answered: 1, Counts: noCounts()},
		Attempts: &Attempts{Canary: map[int]uint64{}, Stable: map[int]uint64{}, Ingresses: 1, Answered: 1},
	}
	count := e.count(ev.Attempts)
	var m moment
	var v Verdict
	for second := range e.shape.seconds {
		m = e.shape.at(r, second, m)
		for range poisson(r, m.rps) {
			e.request(r, m, r.Float64() < share, &ev, count)
		}
		if v = Judge(spec, 2, ev); v.Outcome == "fail" {
			return v, time.Duration(second+1) * time.Second
		}
	}
	return v, time.Duration(e.shape.seconds) * time.Second
}

func (e edge) request(r *rand.Rand, m moment, drawn bool, ev *Evidence, count countAttempt) {
	poison := r.Float64() < e.poison
	tries := e.stable
	if drawn {
		tries = e.canary + min(e.stable, 2)
	}
	for nth := range tries {
		atCanary := drawn && nth < e.canary
		if poison || r.Float64() < e.blips || atCanary && r.Float64() < e.resets {
			count(atCanary, drawn, nth, 0)
			continue
		}
		a := e.shape.answers(r, m)
		count(atCanary, drawn, nth, a.code)
		if atCanary {
			ev.Canary.add(a)
		} else {
			ev.Stable.add(a)
		}
		return
	}
}

// strictErrors tolerates no difference and looks at nothing but errors.
func strictErrors() Spec { return Spec{Alpha: 0.05, Errors: &Rate{Ratio: 1}} }

func (e edge) aborts(n int, seed uint64) int {
	return misses(n, seed, func(r *rand.Rand) bool {
		for _, share := range []float64{0.1, 0.5} {
			if v, _ := e.step(r, strictErrors(), share); v.Outcome == "fail" {
				return true
			}
		}
		return false
	})
}

// TestAttemptsAddNoFalseAborts plays rollouts of a release that is no different, through an ingress that tries again. In
// some of the traffic requests fail wherever they go, and the releases have different numbers of instances: what is
// counted must not depend on how often, and where, a request is tried again.
func TestAttemptsAddNoFalseAborts(t *testing.T) {
	for i, s := range shapes {
		for j, sizes := range [][2]int{{2, 2}, {3, 1}, {1, 4}} {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				n := runs(t, 60)
				e := edge{shape: s, canary: sizes[0], stable: sizes[1], poison: 0.02, blips: 0.01, count: firstAttempts}
				got, most := e.aborts(n, uint64(500+10*i+j)), atMost(n, strictErrors().Alpha)
				t.Logf("%d instances of the canary, %d of stable: %d of %d taken back", sizes[0], sizes[1], got, n)
				if got > most {
					t.Errorf("%d of %d rollouts were taken back, at most %d may be", got, n, most)
				}
			})
		}
	}
}

// TestCountingAllAttemptsWouldTakeGoodReleasesBack shows why only first attempts count: a release with more instances is
// tried more often with the same bad request.
func TestCountingAllAttemptsWouldTakeGoodReleasesBack(t *testing.T) {
	n := runs(t, 40)
	e := edge{shape: shapes[0], canary: 3, stable: 1, poison: 0.05, count: allAttempts}
	got := e.aborts(n, 600)
	t.Logf("%d of %d good releases would be taken back", got, n)
	if got <= atMost(n, 0.05) {
		t.Errorf("%d of %d good releases would be taken back: no more than by first attempts; why then leave the others out?",
			got, n)
	}
}

// TestResetsThatStableMakesGoodAreFound plays a canary that answers a fifth of its requests by closing the connection.
func TestResetsThatStableMakesGoodAreFound(t *testing.T) {
	n := runs(t, 20)
	s := shapes[0]
	s.seconds = 300
	e := edge{shape: s, canary: 1, stable: 1, resets: 0.2, count: firstAttempts}
	f := finding{}
	for i := range n {
		if v, took := e.step(rand.New(rand.NewPCG(700, uint64(i))), Default(), 0.1); v.Outcome == "fail" {
			f.times = append(f.times, took.Seconds())
		}
	}
	f.found = float64(len(f.times)) / float64(n)
	slices.Sort(f.times)
	t.Logf("found in %g of the rollouts, median %g s", f.found, f.median())
	if f.found < 1 {
		t.Errorf("found in %g of the rollouts only", f.found)
	}
}
