package analysis

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "play the large simulation and write docs/analysis.md's tables and plots")

const (
	docFile  = "../../docs/analysis.md"
	plotDir  = "../../docs/analysis"
	docBegin = "<!-- report: begin -->"
	docEnd   = "<!-- report: end -->"
)

// TestReport plays the large simulation and writes its tables and plots into docs/. Without -update it only checks that
// what it would write into is there: the small simulations are tests of their own.
func TestReport(t *testing.T) {
	splice(t, "")
	for _, name := range []string{"false-aborts.svg", "time-to-detect.svg", "paths.svg"} {
		if _, err := os.Stat(filepath.Join(plotDir, name)); err != nil && !*update {
			t.Errorf("%v; write it with `go test ./deployer/analysis -run TestReport -update`", err)
		}
	}
	if !*update {
		return
	}
	text := reportFalseAborts(t) + reportErrors(t) + reportFaults(t)
	writePaths(t)
	write(t, docFile, splice(t, text))
}

// splice returns the document with a new report in it.
func splice(t *testing.T, report string) string {
	t.Helper()
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(doc), docBegin)
	_, after, ok2 := strings.Cut(rest, docEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks %q … %q", docFile, docBegin, docEnd)
	}
	return before + docBegin + "\n\n" + report + docEnd + after
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func plain(v float64) string    { return fmt.Sprintf("%g", v) }
func asPart(v float64) string   { return fmt.Sprintf("%.3g %%", 100*v) }
func percents(v float64) string { return fmt.Sprintf("%g %%", 100*v) }

// inTime writes seconds as "50s" or "5m".
func inTime(v float64) string {
	s := (time.Duration(v) * time.Second).String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

// orNever writes a median.
func orNever(v float64) string {
	if math.IsInf(v, 1) {
		return "not in time"
	}
	return inTime(v)
}

// reportFalseAborts is the table and the plot of rollouts of faultless releases.
func reportFalseAborts(t *testing.T) string {
	const n = 1000
	got := make([][2]float64, len(shapes))
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, s := range shapes {
		for k, spec := range []Spec{Default(), strict()} {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				got[i][k] = float64(falseAborts(t, s, spec, n, uint64(1000+i))) / n
			})
		}
	}
	wg.Wait()
	var b strings.Builder
	fmt.Fprintf(&b, "### False aborts\n\n%d rollouts of a release that is no different, steps of 10 %% and 50 %%, "+
		"judged every second.\n\n", n)
	b.WriteString("| traffic | default tolerances | no tolerance at all | promised |\n|---|---|---|---|\n")
	p := plot{
		title: "False aborts, judged every second, no tolerance at all", x: "part of the rollouts taken back",
		xs:   axis{from: 0, to: 0.06, ticks: []float64{0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06}, format: percents},
		rule: 0.05, ruleName: "promised: at most 5 %",
	}
	for i, s := range shapes {
		fmt.Fprintf(&b, "| %s | %s | %s | ≤ 5 %% |\n", s.name, asPart(got[i][0]), asPart(got[i][1]))
		p.bars = append(p.bars, bar{name: s.name, color: colors[0], value: got[i][1], label: asPart(got[i][1])})
		for _, v := range got[i] {
			if v*n > float64(atMost(n, 0.05)) {
				t.Errorf("%s: %g false aborts", s.name, v)
			}
		}
	}
	write(t, filepath.Join(plotDir, "false-aborts.svg"), p.svg())
	return b.String() + "\n"
}

// reportErrors compares rules on streams of errors, without and with a difference.
func reportErrors(t *testing.T) string {
	const n = 200
	rules := append([]rule{weirRule(), zTestRule()}, rivals()...)
	steady, incidents := play(n, 300, hour/2, steadyBase, 0), play(n, 301, hour/2, incidentBase, 0)
	var b strings.Builder
	fmt.Fprintf(&b, "### Rules on the same streams, without a difference\n\n%d streams of half an hour, 30 "+
		"requests/s, 10 %% to the canary. Steady: 0.1 %% of all requests fail. Incidents: for four minutes in every "+
		"ten 2 %% fail, on both sides.\n\n| rule | steady: taken back | incidents: taken back |\n|---|---|---|\n", n)
	for _, r := range rules {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, asPart(r.on(steady).found), asPart(r.on(incidents).found))
	}
	fmt.Fprintf(&b, "\n### Time to find a worse canary\n\n%d streams for each rise of the canary's error rate above "+
		"stable's 0.1 %%, 30 requests/s, 10 %% to the canary. Median time until it is given up.\n\n", n)
	p := plot{
		title: "Median time until a worse canary is given up (30 requests/s, 10 %)", x: "rise of the error rate",
		y:  "time",
		xs: axis{from: 0.01, to: 1, log: true, ticks: []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1}, format: percents},
		ys: axis{from: 1, to: 3600, log: true, ticks: []float64{1, 10, 60, 300, 900, 3600}, format: inTime},
	}
	names := []string{"fixed-horizon optimum", "Weir"}
	for _, r := range rivals() {
		names = append(names, r.name)
	}
	for i, name := range names {
		p.lines = append(p.lines, line{name: name, color: colors[(i+1)%len(colors)]})
	}
	p.lines[0].color, p.lines[1].color = colors[1], colors[0]
	fmt.Fprintf(&b, "| rise | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for i, rise := range rises {
		streams := play(n, uint64(310+i), hour, steadyBase, rise)
		best := math.Inf(1)
		if at, ok := optimum(streams); ok {
			best = float64(at)
		}
		medians := []float64{best}
		for _, r := range append([]rule{weirRule()}, rivals()...) {
			medians = append(medians, r.on(streams).median())
		}
		cells := []string{percents(rise)}
		for k, m := range medians {
			cells = append(cells, orNever(m))
			p.lines[k].at = append(p.lines[k].at, [2]float64{rise, m})
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	write(t, filepath.Join(plotDir, "time-to-detect.svg"), p.svg())
	return b.String() + "\n"
}

// reportFaults is the table of whole rollouts of broken releases.
func reportFaults(t *testing.T) string {
	const n = 200
	var b strings.Builder
	fmt.Fprintf(&b, "### Broken releases\n\n%d rollouts each, 30 requests/s, 10 %% to the canary, the default "+
		"analysis with scores, alpha split over two steps, a bake of ten minutes. "+
		"Time from the first request to the verdict.\n\n"+
		"| what is wrong | found | median | 95 %% |\n|---|---|---|---|\n", n)
	for i, f := range faults {
		got := f.detect(n, uint64(500+i))
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n",
			f.name, asPart(got.found), orNever(got.median()), orNever(got.quantile(0.95)))
	}
	return b.String() + "\n"
}

// writePaths draws the evidence over time of some rollouts.
func writePaths(t *testing.T) {
	spec := Default()
	x := Excess{Share: 0.1, Ratio: spec.Errors.Ratio, Margin: spec.Errors.Margin}
	p := plot{
		title: "Evidence against 20 good and 20 bad canaries (5 points more errors)", x: "seconds", y: "e-value",
		xs:   axis{from: 0, to: 120, ticks: []float64{0, 30, 60, 90, 120}, format: plain},
		ys:   axis{from: 0.01, to: 1e5, log: true, ticks: []float64{0.01, 1, 100, 1e4}, format: plain},
		rule: 1 / spec.TestAlpha(4), ruleName: "1/α of the test",
	}
	for k, rise := range []float64{0, 0.05} {
		for i, s := range play(20, uint64(600+k), 120, func(int) float64 { return 0.01 }, rise) {
			l := line{color: []string{colors[0], colors[2]}[k], faint: true}
			if i == 0 {
				l.name = []string{"no difference", "5 points more errors"}[k]
			}
			for at := 0; at < len(s); at += 2 {
				c, st := s.window(0, at+1)
				l.at = append(l.at, [2]float64{float64(at + 1), math.Exp(x.LogE(c, st))})
			}
			p.lines = append(p.lines, l)
		}
	}
	write(t, filepath.Join(plotDir, "paths.svg"), p.svg())
}
