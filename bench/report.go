package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results are what a run has measured.
type results struct {
	failed   map[string]error // what could not be measured
	races    []*race
	contests []*contest
	loads    []loads
	growth   []growth
	rows     []point
	took     time.Duration
}

// page is the text under way.
type page struct{ bytes.Buffer }

func (b *page) say(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }

func (b *page) table(head string, rows ...[]string) {
	b.say("\n| %s |\n|%s", head, strings.Repeat("---|", strings.Count(head, "|")+1))
	for _, row := range rows {
		b.say("| %s |", strings.Join(row, " | "))
	}
	b.say("")
}

// write writes the page.
func (r *results) write(ctx context.Context, p *plan) error {
	var b page
	b.say(`# Benchmark

%[2]s measures and writes this page; it needs python3, wrk and, for its first run, PyPI. %[3]s runs Go's
own benchmarks. All contestants of a table ran side by side and took turns over %[1]d rounds; the numbers are medians.
`, p.rounds, "`make bench`", "`make bench-go`")
	b.say("- Machine: %s, %d cores, %s/%s, %s", cpu(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	b.say("- Date: %s; the run took %s; load average at its end: %s", time.Now().UTC().Format("2006-01-02"),
		r.took.Round(time.Second), loadAverage())
	b.say("- Versions: %s", strings.Join(p.versions(ctx), ", "))
	r.targets(&b)
	r.http(&b)
	r.calls(&b)
	r.loading(&b)
	r.growing(&b)
	if len(r.failed) > 0 {
		b.say("## Not measured\n")
		for _, name := range slices.Sorted(maps.Keys(r.failed)) {
			b.say("- %s: %v", name, r.failed[name])
		}
	}
	if err := os.WriteFile(p.out, bytes.TrimRight(append(b.Bytes(), '\n'), "\n"), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

func (r *results) http(b *page) {
	b.say(`## Over HTTP

wrk with 2 threads and %d connections on the same machine; a request holds one row of %d numbers. The label in the first
answer of each server is checked. A bare gin handler reads the same body and answers a constant.`, connections, columns)
	for _, rc := range r.races {
		b.say("\n### %s", rc.title)
		var rows [][]string
		weir := rc.find("Weir")
		for _, s := range rc.servers {
			rows = append(rows, []string{
				s.name, fmt.Sprintf("%.0f", s.of(perSecond)), fmt.Sprintf("%.2f", s.of(p50)), fmt.Sprintf("%.2f", s.of(p99)),
				ratio(weir.of(perSecond) / s.of(perSecond)),
			})
		}
		b.table("server | requests/s | p50 ms | p99 ms | Weir's requests/s over this", rows...)
	}
}

func perSecond(l load1) float64 { return l.PerSecond }
func p50(l load1) float64       { return l.P50 }
func p99(l load1) float64       { return l.P99 }

// find returns the server of that name; without one, an empty server, whose numbers are NaN.
func (rc *race) find(name string) *server {
	for _, s := range rc.servers {
		if s.name == name {
			return s
		}
	}
	return &server{}
}

// best is the highest rate among servers whose names begin so, NaN if there are none.
func (rc *race) best(prefix string) float64 {
	rate := math.NaN()
	for _, s := range rc.servers {
		if v := s.of(perSecond); strings.HasPrefix(s.name, prefix) && !(v <= rate) {
			rate = v
		}
	}
	return rate
}

func (r *results) calls(b *page) {
	b.say(`## Calls within a process

Probabilities of rows of %d float64 numbers. The Python libraries get numpy arrays: XGBoost by Booster.inplace_predict,
LightGBM by Booster.predict, scikit-learn by predict_proba with n_jobs. leaves has no RandomForest: it reads the
LightGBM model of like shape, and is compared with Weir on that very model. All agree on the first row to 1e-5.`, columns)
	cores := runtime.NumCPU()
	for _, c := range r.contests {
		b.say("\n### %s", c.title)
		var rows [][]string
		for _, rv := range c.rivals {
			cells := []string{rv.name}
			for _, q := range [][2]int{{1, 1}, {batch, 1}, {batch, cores}} {
				v, weir := c.seconds(rv.name, q[0], q[1]), c.seconds("Weir", q[0], q[1])
				cells = append(cells, fmt.Sprintf("%.3g µs", v*1e6/float64(q[0])), ratio(v/weir))
			}
			rows = append(rows, cells)
		}
		b.table(fmt.Sprintf("library | 1 row | over Weir | a row of %d, 1 thread | over Weir | %d threads | over Weir",
			batch, cores), rows...)
	}
}

func (r *results) loading(b *page) {
	b.say(`## Loading a large model

A forest without a bound on its depth; Python with pickle.load or joblib.load, each in a new process. Memory is the most
that the process ever had, less what it had before.`)
	var rows [][]string
	for _, l := range r.loads {
		for _, side := range []struct {
			name string
			all  []load
		}{{"Weir", l.weir}, {"Python", l.python}} {
			memory := medianOf(side.all, func(l load) float64 { return l.Bytes })
			rows = append(rows, []string{
				fmt.Sprintf("%s, %d MB", l.file, l.size>>20), side.name,
				fmt.Sprintf("%.0f ms", 1000*medianOf(side.all, func(l load) float64 { return l.Seconds })),
				fmt.Sprintf("%.0f MB", memory/(1<<20)), ratio(memory / float64(l.size)),
			})
		}
	}
	b.table("file | by | time | peak memory | over the file", rows...)
}

func (r *results) growing(b *page) {
	b.say(`## How the cost grows

Microseconds a row, Weir within a process, on forests whose trees are full: for a single row, and in a batch of %d on
one core and on all %d.`, batch, runtime.NumCPU())
	for _, g := range r.growth {
		var rows [][]string
		for _, pt := range g.points {
			rows = append(rows, []string{fmt.Sprint(pt.value), micros(pt.one), micros(pt.batch), micros(pt.all)})
		}
		b.table(g.what+" | 1 row | batch, 1 core | batch, all cores", rows...)
	}
	var rows [][]string
	for _, pt := range r.rows {
		rows = append(rows, []string{fmt.Sprint(pt.value), micros(pt.batch), micros(pt.all)})
	}
	b.table("rows in a call (100 trees of depth 12) | 1 core | all cores", rows...)
}

func micros(v float64) string { return fmt.Sprintf("%.3g", v) }

// ratio writes a factor.
func ratio(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	if v >= 100 {
		return fmt.Sprintf("%.0f×", v)
	}
	return fmt.Sprintf("%.2f×", v)
}

// cpu names the processor.
func cpu() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // other systems have none
	for line := range strings.Lines(string(b)) {
		if _, name, ok := strings.Cut(line, "model name\t: "); ok {
			return strings.TrimSpace(name)
		}
	}
	return "unknown processor"
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); len(f) > 2 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// versions lists what took part.
func (p *plan) versions(ctx context.Context) []string {
	out := []string{"leaves v0.0.0-20230708"}
	for _, c := range [][]string{{"python3", "--version"}, {"wrk", "-v"}} {
		b, _ := exec.CommandContext(ctx, c[0], c[1]).CombinedOutput() // wrk -v ends with 1
		first, _, _ := strings.Cut(string(b), "\n")
		first, _, _ = strings.Cut(first, " [")
		out = append(out, strings.TrimSpace(first))
	}
	for _, name := range []string{"libraries", "fastapi", "mlserver", "bentoml"} {
		b, _ := os.ReadFile(p.script("requirements-" + name + ".txt")) // it was written by this process
		for line := range strings.Lines(string(b)) {
			out = append(out, strings.Replace(strings.TrimSpace(line), "==", " ", 1))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
