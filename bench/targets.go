package main

import (
	"fmt"
	"math"
	"runtime"
)

// target is a bound that Weir sets itself.
type target struct {
	what   string
	want   float64
	got    float64
	atMost bool
}

func (t target) reached() string {
	switch {
	case math.IsNaN(t.got):
		return "not measured"
	case t.atMost && t.got <= t.want, !t.atMost && t.got >= t.want:
		return "reached"
	}
	return "**not reached**"
}

// targets compares what was measured with what was meant to be.
func (r *results) targets(b *page) {
	var rows [][]string
	for _, t := range append(append(r.httpTargets(), r.callTargets()...), r.loadTargets()...) {
		sign := "≥"
		if t.atMost {
			sign = "≤"
		}
		rows = append(rows, []string{t.what, fmt.Sprintf("%s %g×", sign, t.want), ratio(t.got), t.reached()})
	}
	b.say("\n## Targets")
	b.table("Weir over … | target | measured | ", rows...)
}

func (r *results) httpTargets() []target {
	if len(r.races) < 2 {
		return nil
	}
	linear, forest := r.races[0], r.races[1]
	against := func(rc *race, prefix string) float64 {
		return rc.find("Weir").of(perSecond) / rc.best(prefix)
	}
	latency := func(name string) float64 { return linear.find("Weir").of(p99) / linear.find(name).of(p99) }
	return []target{
		{what: bareJSON + ", linear model, requests/s", want: 0.95, got: against(linear, bareJSON)},
		{what: bareJSON + ", linear model, p99", want: 1.1, got: latency(bareJSON), atMost: true},
		{what: bareWire + ", linear model, requests/s", want: 0.95, got: against(linear, bareWire)},
		{what: bareWire + ", linear model, p99", want: 1.1, got: latency(bareWire), atMost: true},
		{what: "the best FastAPI, linear model, requests/s", want: 5, got: against(linear, "FastAPI")},
		{what: "the best FastAPI, forest, requests/s", want: 50, got: against(forest, "FastAPI")},
		{what: "the best MLServer, linear model, requests/s", want: 10, got: against(linear, "MLServer")},
		{what: "the best MLServer, forest, requests/s", want: 10, got: against(forest, "MLServer")},
	}
}

func (r *results) callTargets() []target {
	var out []target
	cores := runtime.NumCPU()
	for _, c := range r.contests {
		over := func(name string, rows, threads int) float64 {
			return c.seconds(name, rows, threads) / c.seconds("Weir", rows, threads)
		}
		one := func(name string, want float64) target {
			return target{what: c.title + ": a call of 1 row, " + name, want: want, got: over(name, 1, 1)}
		}
		same := func(name string, want float64) target { // on the same number of threads: the worse of both
			return target{
				what: c.title + ": a batch on the same threads, " + name, want: want,
				got: min(over(name, batch, 1), over(name, batch, cores)),
			}
		}
		switch c.model {
		case "forest":
			best := min(c.seconds("scikit-learn", batch, 1), c.seconds("scikit-learn", batch, cores))
			out = append(out, one("scikit-learn", 500), target{
				what: c.title + ": a batch, scikit-learn's best n_jobs", want: 8, got: best / c.seconds("Weir", batch, cores),
			})
		case "deep":
			out = append(out, one("leaves", 4), same("leaves", 8))
		case "lightgbm":
			out = append(out, one("LightGBM", 20), same("LightGBM", 2))
		case "xgboost":
			out = append(out, one("XGBoost", 20), same("XGBoost", 2))
		}
	}
	return out
}

func (r *results) loadTargets() []target {
	var out []target
	seconds := func(l load) float64 { return l.Seconds }
	memory := func(l load) float64 { return l.Bytes }
	for _, l := range r.loads {
		time, peak := medianOf(l.weir, seconds)/medianOf(l.python, seconds), medianOf(l.weir, memory)/float64(l.size)
		out = append(
			out,
			target{what: l.file + ": time to load, Python", want: 1, got: time, atMost: true},
			target{what: l.file + ": peak memory, the file", want: 1.5, got: peak, atMost: true},
		)
	}
	return out
}
