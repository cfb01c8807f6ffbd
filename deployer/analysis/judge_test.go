package analysis

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// side is one release's evidence: n requests of which errs failed, with latencies around 20 ms, two classes of equal
// frequency and scores in the middle.
func side(release string, n, errs uint64) Side {
	return Side{
		Release: release, Listed: 2, Answered: 2,
		Counts: Counts{
			Codes: map[int]uint64{200: n - errs, 500: errs},
			Latency: Histogram{
				Edges:  []float64{0.01, 0.025, 0.05, 0.1, 0.25},
				Counts: []uint64{n / 10, n - n/10 - n/50, n / 50, 0, 0, 0},
			},
			Classes: map[string]uint64{"cat": n / 2, "dog": n - n/2},
			Scores:  Histogram{Edges: []float64{0.25, 0.5, 0.75}, Counts: []uint64{n / 4, n / 4, n / 4, n - 3*(n/4)}},
		},
	}
}

// healthy is the evidence of a step at 10 % in which canary and stable are the same.
func healthy() Evidence {
	return Evidence{
		Step: 1, Epoch: 7, Since: stepBegan, At: stepBegan.Add(time.Minute), Share: 0.1,
		Canary: side("new", 1000, 1), Stable: side("old", 9000, 9),
	}
}

// everything is a spec in which all metrics decide.
func everything() Spec {
	s := Default()
	s.DryRun = nil
	golden, shadow, limit := DefaultGolden, DefaultShadow, 0.5
	s.Golden, s.Shadow = &golden, &shadow
	s.Queries = []Query{{Name: "saturation", PromQL: "x", Max: &limit, InARow: 3, MinSeen: 2}}
	return s
}

// complete is healthy evidence for everything.
func complete() Evidence {
	ev := healthy()
	ev.Golden = &GoldenReport{Instances: 2, Cases: 20}
	ev.Pairs = &Pairs{Pairs: 1000, Disagree: 2}
	ev.Queries = map[string]Reading{"saturation": {Value: 0.1, Seen: 9}}
	return ev
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(s *Spec, ev *Evidence)
		want   rollout.Outcome
		metric string // named by the first reason
		says   string // part of a reason
	}{
		{"all is well", func(*Spec, *Evidence) {}, rollout.Pass, "requests", "1000 requests"},
		{"a few errors more are chance", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 1000, 4)
		}, rollout.Pass, "requests", ""},
		{"errors", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 1000, 50)
		}, rollout.Fail, "errors", "50 of the canary's 1000"},
		{"nothing but errors, few requests", func(_ *Spec, ev *Evidence) {
			ev.Canary, ev.Stable = side("new", 6, 6), side("old", 54, 0)
		}, rollout.Fail, "errors", "6 of the canary's 6 requests failed"},
		{"refused requests", func(_ *Spec, ev *Evidence) {
			ev.Canary.Codes[422] = 100
		}, rollout.Fail, "rejections", "refused"},
		{"attempts that other instances made good", func(s *Spec, ev *Evidence) {
			s.Attempts = &DefaultAttempts
			ev.Attempts = &Attempts{Canary: map[int]uint64{200: 950, 0: 50}, Stable: map[int]uint64{200: 9000}, Ingresses: 1, Answered: 1}
		}, rollout.Fail, "attempts", "50 of the canary's 1000 first attempts"},
		{"attempts, nothing wrong", func(s *Spec, ev *Evidence) {
			s.Attempts = &DefaultAttempts
			ev.Attempts = &Attempts{Canary: map[int]uint64{200: 950}, Stable: map[int]uint64{200: 9000, 502: 2}, Ingresses: 1, Answered: 1}
		}, rollout.Pass, "requests", ""},
		{"attempts that nobody counts", func(s *Spec, _ *Evidence) {
			s.Attempts = &DefaultAttempts
		}, rollout.SourceDown, "attempts", "no ingress counts"},
		{"attempts that an ingress does not tell", func(s *Spec, ev *Evidence) {
			s.Attempts = &DefaultAttempts
			ev.Attempts = &Attempts{Ingresses: 2, Answered: 1, Trouble: "refused"}
		}, rollout.SourceDown, "attempts", "1 of the 2 ingresses tell their numbers: refused"},
		{"errors that only the ingress saw", func(_ *Spec, ev *Evidence) {
			ev.Attempts = &Attempts{
				Canary: map[int]uint64{200: 950, 0: 50}, Stable: map[int]uint64{200: 9000}, Ingresses: 1, Answered: 1,
			}
		}, rollout.Fail, "errors", "50 of the canary's 1000 first attempts at the ingress failed, 0 of stable's 9000"},
		{"errors that only the instances tell", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 1000, 50)
			ev.Attempts = &Attempts{Canary: map[int]uint64{200: 1000}, Stable: map[int]uint64{200: 9000}}
		}, rollout.Fail, "errors", "50 of the canary's 1000 requests failed"},
		{"an ingress that tells nothing", func(_ *Spec, ev *Evidence) {
			ev.Attempts = &Attempts{Ingresses: 1, Trouble: "refused"}
		}, rollout.Pass, "requests", ""},
		{"clients that went away are no failures", func(_ *Spec, ev *Evidence) {
			ev.Attempts = &Attempts{Canary: map[int]uint64{200: 900, 499: 100}, Stable: map[int]uint64{200: 9000}}
		}, rollout.Pass, "requests", ""},
		{"all traffic on the canary, whose attempts fail more than stable's did", func(_ *Spec, ev *Evidence) {
			ev.Share, ev.Before = 1, &Counts{Codes: map[int]uint64{200: 9000}}
			ev.Attempts = &Attempts{Canary: map[int]uint64{200: 800, 0: 200}, Before: map[int]uint64{200: 9000, 0: 9}}
		}, rollout.Fail, "errors", "200 of the canary's 1000 first attempts"},
		{"all traffic on the canary, attempts above the limit", func(s *Spec, ev *Evidence) {
			ev.Share, s.Attempts = 1, &Rate{Ratio: 1, Max: 0.01}
			ev.Attempts = &Attempts{Canary: map[int]uint64{200: 950, 502: 50}, Ingresses: 1, Answered: 1}
		}, rollout.Fail, "attempts", "the limit is 1 %"},
		{"slower", func(_ *Spec, ev *Evidence) {
			ev.Canary.Latency.Counts = []uint64{0, 0, 800, 200, 0, 0}
		}, rollout.Fail, "latency", "slower than tolerated"},
		{"slower within the ratio", func(s *Spec, ev *Evidence) {
			s.Latency.Ratio = 5
			ev.Canary.Latency.Counts = []uint64{0, 0, 900, 100, 0, 0}
		}, rollout.Pass, "requests", ""},
		{"another mix of classes", func(_ *Spec, ev *Evidence) {
			ev.Canary.Classes = map[string]uint64{"cat": 900, "dog": 100}
		}, rollout.Fail, "classes", `class "cat" is 90 %`},
		{"a new class", func(_ *Spec, ev *Evidence) {
			ev.Canary.Classes = map[string]uint64{"cat": 400, "dog": 200, "cow": 400}
		}, rollout.Fail, "classes", `class "cow" is 40 %`},
		{"a mix within the tolerance", func(_ *Spec, ev *Evidence) {
			ev.Canary.Classes = map[string]uint64{"cat": 560, "dog": 440}
		}, rollout.Pass, "requests", ""},
		{"any difference at tolerance 0", func(s *Spec, ev *Evidence) {
			s.Classes.Tolerance = 0
			ev.Canary.Classes = map[string]uint64{"cat": 590, "dog": 410}
		}, rollout.Fail, "classes", ""},
		{"other scores", func(_ *Spec, ev *Evidence) {
			ev.Canary.Scores.Counts = []uint64{900, 50, 25, 25}
		}, rollout.Fail, "scores", "Kolmogorov"},
		{"golden set", func(_ *Spec, ev *Evidence) {
			ev.Golden = &GoldenReport{
				Instances: 1, Cases: 9, Failed: 1,
				Worst: &Mismatch{Case: "tall", Path: ".p[0]", Want: "1", Got: "2", Times: 9},
			}
		}, rollout.Fail, "golden", "want 1, got 2"},
		{"golden set out of reach", func(_ *Spec, ev *Evidence) {
			ev.Golden = &GoldenReport{Cases: 4, Down: "post: refused"}
		}, rollout.SourceDown, "golden", "refused"},
		{"golden set not replayed", func(_ *Spec, ev *Evidence) {
			ev.Golden = nil
		}, rollout.Inconclusive, "golden", ""},
		{"golden set empty", func(_ *Spec, ev *Evidence) {
			ev.Golden = &GoldenReport{}
		}, rollout.Inconclusive, "golden", ""},
		{"shadow pairs differ", func(_ *Spec, ev *Evidence) {
			ev.Pairs = &Pairs{Pairs: 300, Disagree: 30, Worst: &Mismatch{Case: "id7", Want: "1", Got: "2"}}
		}, rollout.Fail, "shadow", "request id7"},
		{"few shadow pairs", func(_ *Spec, ev *Evidence) {
			ev.Pairs = &Pairs{Pairs: 3}
		}, rollout.Inconclusive, "shadow", "at least 50"},
		{"no shadow pairs", func(_ *Spec, ev *Evidence) { ev.Pairs = nil }, rollout.Inconclusive, "shadow", ""},
		{"query beyond its limit", func(_ *Spec, ev *Evidence) {
			ev.Queries["saturation"] = Reading{Value: 0.9, Seen: 5, Beyond: 3}
		}, rollout.Fail, "saturation", "at most 0.5"},
		{"query beyond its limit, not for long", func(_ *Spec, ev *Evidence) {
			ev.Queries["saturation"] = Reading{Value: 0.9, Seen: 5, Beyond: 2}
		}, rollout.Inconclusive, "saturation", "2 of 3"},
		{"query without data", func(_ *Spec, ev *Evidence) {
			ev.Queries = nil
		}, rollout.Inconclusive, "saturation", "want at least 2"},
		{"query can't be asked", func(_ *Spec, ev *Evidence) {
			ev.Queries["saturation"] = Reading{Seen: 5, Down: "no route"}
		}, rollout.SourceDown, "saturation", "no route"},
		{"too few requests", func(_ *Spec, ev *Evidence) {
			ev.Canary, ev.Stable = side("new", 49, 0), side("old", 441, 0)
		}, rollout.Inconclusive, "requests", "want at least 50"},
		{"too few requests, overridden", func(_ *Spec, ev *Evidence) {
			ev.Canary, ev.Stable, ev.Overridden = side("new", 49, 0), side("old", 441, 0), "ann: quiet night"
		}, rollout.Pass, "requests", ""},
		{"no requests and none wanted", func(s *Spec, ev *Evidence) {
			s.MinRequests = 0
			ev.Canary, ev.Stable = side("new", 0, 0), side("old", 0, 0)
		}, rollout.Inconclusive, "requests", "0 requests"},
		{"nothing to compare with", func(_ *Spec, ev *Evidence) {
			ev.Stable = side("old", 0, 0)
		}, rollout.Inconclusive, "", ""},
		{"canary can't be read", func(_ *Spec, ev *Evidence) {
			ev.Canary.Answered, ev.Canary.Trouble = 1, "instance 1: refused"
		}, rollout.SourceDown, "requests", "1 of the 2 instances of the canary"},
		{"no instance listed", func(_ *Spec, ev *Evidence) {
			ev.Stable.Answered, ev.Stable.Listed = 0, 0
		}, rollout.SourceDown, "requests", "0 of the 0"},
		{"a failure stands though the source is down", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 1000, 50)
			ev.Canary.Answered = 0
		}, rollout.Fail, "errors", ""},
		{"a wrong split", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 3000, 3)
		}, rollout.Inconclusive, "split", "can't be compared"},
		{"a wrong split and a broken canary", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 3000, 300)
		}, rollout.Fail, "errors", ""},
		{"a canary that swallows requests", func(_ *Spec, ev *Evidence) {
			ev.Canary = side("new", 400, 0)
		}, rollout.Inconclusive, "split", "can't be compared"},
		{"missing stable instances don't blame the canary", func(s *Spec, ev *Evidence) {
			s.MaxMissing, s.Errors = 0.5, &Rate{Ratio: 1}
			ev.Stable = side("old", 4500, 30)
			ev.Stable.Answered = 1
			ev.Canary = side("new", 1000, 15)
		}, rollout.Pass, "requests", ""},
		{"dry run only tells", func(s *Spec, ev *Evidence) {
			s.DryRun = []string{"errors", "golden"}
			ev.Canary, ev.Golden = side("new", 1000, 50), nil
		}, rollout.Pass, "requests", ""},
		{"all traffic on the canary", func(_ *Spec, ev *Evidence) { ev.Share = 1 }, rollout.Pass, "requests", ""},
		{"all traffic on the canary, above its limit", func(s *Spec, ev *Evidence) {
			ev.Share, s.Errors.Max = 1, 0.01
			ev.Canary = side("new", 1000, 50)
		}, rollout.Fail, "errors", "the limit is 1 %"},
		{"all traffic on the canary, worse than stable was", func(_ *Spec, ev *Evidence) {
			before := side("old", 9000, 9).Counts
			ev.Share, ev.Before = 1, &before
			ev.Canary = side("new", 1000, 50)
		}, rollout.Fail, "errors", "rate before is"},
		{"all traffic on the canary, like stable was", func(_ *Spec, ev *Evidence) {
			before := side("old", 9000, 90).Counts
			ev.Share, ev.Before = 1, &before
			ev.Canary = side("new", 10000, 120)
		}, rollout.Pass, "requests", ""},
		{"before any traffic", func(_ *Spec, ev *Evidence) {
			ev.Share = 0
			ev.Canary = side("new", 0, 0)
		}, rollout.Pass, "requests", ""},
		{"the canary hides its classes", func(_ *Spec, ev *Evidence) {
			ev.Canary.Classes = nil
		}, rollout.Inconclusive, "classes", ""},
		{"a kind that stable does not have", func(_ *Spec, ev *Evidence) {
			ev.Stable.Classes = nil
		}, rollout.Pass, "requests", ""},
		{"another kind of score", func(_ *Spec, ev *Evidence) {
			ev.Canary.ScoreKind, ev.Stable.ScoreKind = "probability", "decision"
		}, rollout.Inconclusive, "scores", "a probability on the canary and a decision on stable"},
		{"no edges in common", func(_ *Spec, ev *Evidence) {
			ev.Canary.Scores.Edges = []float64{1, 2, 3}
		}, rollout.Inconclusive, "scores", "edge in common"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, ev := everything(), complete()
			tc.change(&spec, &ev)
			v := Judge(spec, 4, ev)
			why := strings.Join(v.Reasons, "\n")
			if v.Outcome != tc.want || !strings.HasPrefix(why, tc.metric) || !strings.Contains(why, tc.says) {
				t.Errorf("%s: %s\nwant %s: %s … %s", v.Outcome, why, tc.want, tc.metric, tc.says)
			}
			checkReplay(t, v)
		})
	}
}

// checkReplay stores a verdict, reads it and judges it again.
func checkReplay(t *testing.T, v Verdict) {
	t.Helper()
	stored, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("store the verdict: %v", err)
	}
	var read Verdict
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatalf("read the verdict: %v", err)
	}
	again, err := json.Marshal(read.Replay())
	if err != nil {
		t.Fatalf("store the replayed verdict: %v", err)
	}
	if !reflect.DeepEqual(stored, again) {
		t.Errorf("replayed:\n%s\nstored:\n%s", again, stored)
	}
	if len(stored) > 16<<10 {
		t.Errorf("the verdict takes %d bytes", len(stored))
	}
}

func TestResultHasItsNumbers(t *testing.T) {
	ev := healthy()
	ev.Canary = side("new", 1000, 50)
	for _, r := range Judge(Default(), 4, ev).Results {
		if r.Metric != MetricErrors {
			continue
		}
		if r.N != 1000 || r.NStable != 9000 || math.Abs(r.Effect-0.049) > 1e-9 || r.Alpha != 0.05/16 || r.P > 1e-6 ||
			math.Abs(r.P-math.Exp(-r.LogE)) > 1e-12 || r.Interval == nil || r.Interval.Low <= 0.01 {
			t.Errorf("%+v", r)
		}
		return
	}
	t.Error("no result for errors")
}

func TestReadingSees(t *testing.T) {
	limit, good, bad, nan, inf := 1.0, 0.5, 2.0, math.NaN(), math.Inf(1)
	q := Query{Max: &limit}
	var r Reading
	for _, look := range []struct {
		value *float64
		err   error
		want  Reading
	}{
		{&good, nil, Reading{Value: 0.5, Seen: 1}},
		{&bad, nil, Reading{Value: 2, Seen: 2, Beyond: 1}},
		{nil, nil, Reading{Value: 2, Seen: 2, Beyond: 1}},
		{&nan, nil, Reading{Value: 2, Seen: 2, Beyond: 1}},
		{nil, errors.New("refused"), Reading{Value: 2, Seen: 2, Beyond: 1, Down: "refused"}},
		{&inf, nil, Reading{Value: math.MaxFloat64, Seen: 3, Beyond: 2}},
		{&good, nil, Reading{Value: 0.5, Seen: 4}},
	} {
		if r = r.See(q, look.value, look.err); r != look.want {
			t.Errorf("%+v, want %+v", r, look.want)
		}
	}
}
