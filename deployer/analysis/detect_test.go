package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const hour = 3600

// play draws streams of 30 requests/s at 10 % in which the canary fails by rise more than stable.
func play(n int, seed uint64, length int, base func(second int) float64, rise float64) []stream {
	out := make([]stream, n)
	for i := range out {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		s := make(stream, length)
		for at := range s {
			fails := base(at)
			for range poisson(r, 30) {
				side, rate := &s[at].stable, fails
				if r.Float64() < 0.1 {
					side, rate = &s[at].canary, fails+rise
				}
				side.N++
				if r.Float64() < rate {
					side.K++
				}
			}
		}
		out[i] = s
	}
	return out
}

func steadyBase(int) float64 { return 0.001 }

// incidentBase is 0.1 % errors, and four minutes in every ten in which 2 % of all requests fail, on both sides.
func incidentBase(second int) float64 {
	if second%600 >= 300 && second%600 < 540 {
		return 0.02
	}
	return 0.001
}

// finding is what a rule did with some streams.
type finding struct {
	rule  string
	found float64   // part of the streams in which it gave the canary up
	times []float64 // when, in seconds, ascending, of those
}

// median is the time by which half of all streams were given up; +Inf where fewer were.
func (f finding) median() float64 { return f.quantile(0.5) }

func (f finding) quantile(q float64) float64 {
	if f.found < q || len(f.times) == 0 {
		return math.Inf(1)
	}
	return f.times[min(int(q/f.found*float64(len(f.times))), len(f.times)-1)]
}

func (r rule) on(streams []stream) finding {
	f := finding{rule: r.name}
	for _, s := range streams {
		if at, ok := r.when(s); ok {
			f.times = append(f.times, float64(at))
		}
	}
	f.found = float64(len(f.times)) / float64(len(streams))
	slices.Sort(f.times)
	return f
}

func rivals() []rule {
	return []rule{flaggerRule(10), flaggerRule(60), kayentaRule(10), kayentaRule(60)}
}

// rises are the points of error rate that the canary is worse by.
var rises = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.999}

// TestTimeToDetectErrors holds the time to find a worse canary against the optimum and against other rules.
func TestTimeToDetectErrors(t *testing.T) {
	for i, rise := range []float64{0.02, 0.1, 0.5} {
		streams := play(runs(t, 40), uint64(200+i), hour, steadyBase, rise)
		weir := weirRule().on(streams)
		best, ok := optimum(streams)
		t.Logf("rise %g: Weir %g s, optimum %d s", rise, weir.median(), best)
		if !ok || weir.found < 1 || weir.median() > 3*float64(best)+2 {
			t.Errorf("rise %g: found in %g of the streams, after %g s; the optimum is %d s",
				rise, weir.found, weir.median(), best)
		}
		for _, r := range rivals() {
			got := r.on(streams)
			t.Logf("rise %g: %s finds %g, after %g s", rise, got.rule, got.found, got.median())
			if got.median() < weir.median() {
				t.Errorf("rise %g: %s takes %g s, Weir %g s", rise, got.rule, got.median(), weir.median())
			}
		}
	}
}

// TestRulesWithoutDifference counts false aborts of the same rules in half an hour.
func TestRulesWithoutDifference(t *testing.T) {
	n := runs(t, 40)
	for name, base := range map[string]func(int) float64{"steady": steadyBase, "incidents": incidentBase} {
		streams := play(n, 300, hour/2, base, 0)
		if got := weirRule().on(streams).found; got > 0 {
			t.Errorf("%s: Weir takes back %g of the rollouts", name, got)
		}
		t.Logf("%s: z-test %g", name, zTestRule().on(streams).found)
		for _, r := range rivals() {
			t.Logf("%s: %s takes back %g", name, r.name, r.on(streams).found)
		}
	}
}

// fault is what is wrong with a canary.
type fault struct {
	name string
	what func(r *rand.Rand, a *answer)
}

var faults = []fault{
	{"answers 500 to all", func(_ *rand.Rand, a *answer) { a.code = 500 }},
	{"answers 500 to 20 %", func(r *rand.Rand, a *answer) {
		if r.Float64() < 0.2 {
			a.code = 500
		}
	}},
	{"three times slower", func(_ *rand.Rand, a *answer) { a.latency *= 3 }},
	{"one in ten takes a second", func(r *rand.Rand, a *answer) {
		if r.Float64() < 0.1 {
			a.latency++
		}
	}},
	{"one class for everything", func(_ *rand.Rand, a *answer) { a.class = "dog" }},
	{"classes swapped", func(_ *rand.Rand, a *answer) {
		a.class = map[string]string{"cat": "dog", "dog": "cat"}[a.class]
	}},
	{"scores too high by 0.3", func(_ *rand.Rand, a *answer) { a.score = min(a.score+0.3, 1) }},
	{"refuses one request in five", func(r *rand.Rand, a *answer) {
		if r.Float64() < 0.2 {
			a.code = 422
		}
	}},
}

// detect plays the fault at 30 requests/s and 10 %, judged every second by the default analysis, scores included.
func (f fault) detect(n int, seed uint64) finding {
	spec := Default()
	spec.DryRun = nil
	s := shape{"steady", 600, shapes[0].at, common}
	out := finding{rule: f.name}
	for i := range n {
		v, took := s.step(rand.New(rand.NewPCG(seed, uint64(i))), spec, 0.1, f.what)
		if v.Outcome == "fail" {
			out.times = append(out.times, took.Seconds())
		}
	}
	out.found = float64(len(out.times)) / float64(n)
	slices.Sort(out.times)
	return out
}

// TestFaultsAreFound plays rollouts of broken releases.
func TestFaultsAreFound(t *testing.T) {
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			got := f.detect(runs(t, 10), uint64(400+i))
			t.Logf("found in %g of the rollouts, median %s", got.found, time.Duration(got.median())*time.Second)
			if got.found < 1 {
				t.Errorf("found in %g of the rollouts only", got.found)
			}
		})
	}
}
