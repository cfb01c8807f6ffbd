package analysis

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// runs is how many rollouts a simulation plays: few in CI, WEIR_SIM times as many for a report.
func runs(t *testing.T, few int) int {
	t.Helper()
	times := os.Getenv("WEIR_SIM")
	if times == "" {
		return max(few/slowed, 10)
	}
	n, err := strconv.Atoi(times)
	if err != nil || n < 1 {
		t.Fatalf("WEIR_SIM=%q: want a whole number, the factor for the number of simulated rollouts", times)
	}
	return few * n
}

// answer is what becomes of one request.
type answer struct {
	code    int
	latency float64 // seconds
	class   string
	score   float64
}

// moment is the state that both releases share at a time: load, a slow database, an incident.
type moment struct {
	rps   float64 // mean of the requests in this second
	fails float64 // rate of errors
	slow  float64 // factor on the latency
	mix   float64 // rate of the first class
}

// shape is a kind of traffic.
type shape struct {
	name    string
	seconds int // of a step
	at      func(r *rand.Rand, second int, last moment) moment
	// answers draws an answer of a release without fault. Each release's answers come from the same distribution.
	answers func(r *rand.Rand, m moment) answer
}

// common is log-normal latency around 20 ms, two classes and scores that go with them.
func common(r *rand.Rand, m moment) answer {
	a := answer{code: 200, latency: 0.02 * m.slow * math.Exp(0.4*r.NormFloat64()), class: "cat"}
	if r.Float64() < m.fails {
		a.code = 500
	} else if r.Float64() < 0.01 {
		a.code = 422
	}
	if r.Float64() > m.mix {
		a.class = "dog"
	}
	a.score = math.Abs(math.Mod(0.3*r.NormFloat64()+m.mix, 1))
	return a
}

// heavy is overdispersed latency: one in twenty takes a time without a mean worth the name.
func heavy(r *rand.Rand, m moment) answer {
	a := common(r, m)
	if r.Float64() < 0.05 {
		a.latency *= math.Pow(r.Float64(), -0.9)
	}
	return a
}

var shapes = []shape{
	{"steady, 30 requests/s", 60, func(*rand.Rand, int, moment) moment { return moment{30, 0.005, 1, 0.6} }, common},
	{"bursts with incidents", 60, bursty, common},
	{"diurnal", 60, diurnal, common},
	{"1 request/s", 300, func(*rand.Rand, int, moment) moment { return moment{1, 0.01, 1, 0.6} }, common},
	{"overdispersed latency", 60, drifting, heavy},
}

// bursty traffic comes in bursts of 100 requests/s, in which a third fails, ten times slower, with other inputs.
func bursty(r *rand.Rand, _ int, last moment) moment {
	calm, burst := moment{5, 0.002, 1, 0.6}, moment{100, 0.3, 10, 0.2}
	if last == burst && r.Float64() < 0.8 || last != burst && r.Float64() < 0.05 {
		return burst
	}
	return calm
}

// diurnal traffic has its day in half a minute: load, errors, latency and inputs go up and down.
func diurnal(_ *rand.Rand, second int, _ moment) moment {
	day := (1 + math.Sin(2*math.Pi*float64(second)/30)) / 2
	return moment{5 + 50*day, 0.02 * day, 1 + 2*day, 0.3 + 0.5*day}
}

// drifting latency wanders: a factor that both releases share and that keeps its value for some time.
func drifting(r *rand.Rand, _ int, last moment) moment {
	slow := math.Exp(0.9*math.Log(max(last.slow, 0.1)) + 0.4*r.NormFloat64())
	return moment{30, 0.005, slow, 0.6}
}

// poisson draws from Poisson's distribution.
func poisson(r *rand.Rand, mean float64) int {
	n, left := 0, mean
	for {
		left -= r.ExpFloat64()
		if left < 0 {
			return n
		}
		n++
	}
}

// The buckets of the simulated instances.
var (
	latencyEdges = []float64{.001, .0025, .005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10}
	scoreEdges   = []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9}
)

func noCounts() Counts {
	return Counts{
		Codes: map[int]uint64{}, Classes: map[string]uint64{},
		Latency: Histogram{Edges: latencyEdges, Counts: make([]uint64, len(latencyEdges)+1)},
		Scores:  Histogram{Edges: scoreEdges, Counts: make([]uint64, len(scoreEdges)+1)},
	}
}

func (c Counts) add(a answer) {
	c.Codes[a.code]++
	i, _ := c.Latency.edge(a.latency)
	c.Latency.Counts[i]++
	if a.code == 200 {
		c.Classes[a.class]++
		i, _ = c.Scores.edge(a.score)
		c.Scores.Counts[i]++
	}
}

// step plays one step, looks every second, and returns what the last look said and when that was: the first failure, or
// the end. fault changes the canary's answers; nil leaves them alone.
func (s shape) step(r *rand.Rand, spec Spec, share float64, fault func(*rand.Rand, *answer)) (Verdict, time.Duration) {
	ev := Evidence{
		Share:  share,
		Canary: Side{Release: "new", Listed: 1, Answered: 1, Counts: noCounts()},
		Stable: Side{Release: "old", Listed: 1, Answered: 1, Counts: noCounts()},
	}
	var m moment
	var v Verdict
	for second := range s.seconds {
		m = s.at(r, second, m)
		for range poisson(r, m.rps) {
			a := s.answers(r, m)
			if r.Float64() >= share {
				ev.Stable.add(a)
				continue
			}
			if fault != nil {
				fault(r, &a)
			}
			ev.Canary.add(a)
		}
		if v = Judge(spec, 2, ev); v.Outcome == "fail" {
			return v, time.Duration(second+1) * time.Second
		}
	}
	return v, time.Duration(s.seconds) * time.Second
}

// rollout plays steps of 10 and 50 % and returns the metrics that took it back, or none.
func (s shape) rollout(r *rand.Rand, spec Spec) []string {
	for _, share := range []float64{0.1, 0.5} {
		if v, _ := s.step(r, spec, share, nil); v.Outcome == "fail" {
			return v.Reasons
		}
	}
	return nil
}

// strict is a spec without any tolerance: the hardest case for the promise on false aborts.
func strict() Spec {
	s := Default()
	s.DryRun = nil
	s.Errors, s.Rejections = &Rate{Ratio: 1}, &Rate{Ratio: 1}
	s.Latency = &Latency{Ratio: 1}
	s.Classes, s.Scores, s.Split = &Shift{}, &Shift{}, &Split{}
	return s
}

// falseAborts counts rollouts of a faultless release that are taken back.
func falseAborts(t *testing.T, s shape, spec Spec, n int, seed uint64) int {
	t.Helper()
	var why []string
	aborts := misses(n, seed, func(r *rand.Rand) bool {
		reasons := s.rollout(r, spec)
		why = append(why, reasons...)
		return reasons != nil
	})
	for _, reason := range why {
		t.Log(reason)
	}
	return aborts
}

// TestFalseAborts plays rollouts of a release that is no different, judged every second, for each shape of traffic.
func TestFalseAborts(t *testing.T) {
	for i, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			n := runs(t, 120)
			spec := strict()
			if got := falseAborts(t, s, spec, n, uint64(100+i)); got > atMost(n, spec.Alpha) {
				t.Errorf("%d of %d rollouts were taken back, at most %d may be", got, n, atMost(n, spec.Alpha))
			}
		})
	}
}

func BenchmarkJudge(b *testing.B) {
	spec, ev := everything(), complete()
	for b.Loop() {
		Judge(spec, 4, ev)
	}
}
