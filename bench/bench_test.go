package main

import (
	"math"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{7}, 7}} {
		if got := median(tt.v); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.v, got, tt.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		target target
		want   string
	}{
		{target{want: 5, got: 5}, "reached"},
		{target{want: 5, got: 4.9}, "**not reached**"},
		{target{want: 1.1, got: 1.1, atMost: true}, "reached"},
		{target{want: 1.1, got: 1.2, atMost: true}, "**not reached**"},
		{target{want: 1.1, got: math.NaN(), atMost: true}, "not measured"},
	} {
		if got := tt.target.reached(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.target, got, tt.want)
		}
	}
}

// TestReport checks that a run in which peers are missing still makes a page, which says so.
func TestReport(t *testing.T) {
	rate := func(v float64) []load1 { return []load1{{PerSecond: v, P50: 1, P99: 2}} }
	r := results{races: []*race{
		{title: "linear", servers: []*server{
			{name: bareWire, rounds: rate(100)},
			{name: "Weir", rounds: rate(98)},
			{name: "FastAPI, 1", rounds: rate(10)},
			{name: "FastAPI, 2", rounds: rate(20)},
		}},
		{title: "forest", servers: []*server{{name: "Weir", rounds: rate(90)}}},
	}}
	var b page
	r.targets(&b)
	r.http(&b)
	for _, want := range []string{
		"| bare gin handler (Weir's scanner), linear model, requests/s | ≥ 0.95× | 0.98× | reached |",
		"| the best FastAPI, linear model, requests/s | ≥ 5× | 4.90× | **not reached** |",
		"| the best MLServer, forest, requests/s | ≥ 10× | – | not measured |",
		"| FastAPI, 1 | 10 | 1.00 | 2.00 | 9.80× |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
