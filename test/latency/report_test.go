//go:build linux

package latency

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// report is what a run has shown.
type report struct {
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took_ns"`
	Commit   string        `json:"commit"`
	Machine  string        `json:"machine"`
	Nomad    string        `json:"nomad"`
	Rollouts []*trial      `json:"rollouts"`
	Plain    []plainTrial  `json:"nomad_alone"`
}

func newReport() *report {
	return &report{Began: time.Now().UTC().Truncate(time.Second), Commit: commit(), Machine: machine()}
}

// commit names the revision under test, with -dirty where the work tree has changes.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func machine() string {
	name := "an unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo") // where it can't be read, nothing is known
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			name = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d cores of %s", runtime.NumCPU(), name)
}

// seconds are quantiles of some times, in seconds.
func seconds(times []time.Duration) string {
	values := make([]float64, len(times))
	for i, t := range times {
		values[i] = t.Seconds()
	}
	return quantiles(values, "%.2f")
}

// quantiles writes the median, 90 %, 99 % and the largest of some values.
func quantiles[T cmp.Ordered](values []T, format string) string {
	if len(values) == 0 {
		return "–"
	}
	slices.Sort(values)
	parts := make([]string, 0, 4)
	for _, q := range []float64{0.5, 0.9, 0.99, 1} {
		at := int(q*float64(len(values))+0.5) - 1
		parts = append(parts, fmt.Sprintf(format, values[min(max(at, 0), len(values)-1)]))
	}
	return strings.Join(parts, " / ")
}

// tables are the report in Markdown.
func (r *report) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s UTC, commit %s, %s, %s; the run took %s. %d models at about %.0f requests/s each, %d %% to the canary.\n\n",
		r.Began.Format("2006-01-02 15:04"), r.Commit, r.Nomad, r.Machine, r.Took.Round(time.Second), lanes, rps, weight)
	b.WriteString("Seconds, as median / 90 % / 99 % / maximum.\n\n" +
		"| fault | fault → decision | decision → epoch shown | decision → last answer | fault → last answer of the canary |\n" +
		"|---|---|---|---|---|\n")
	for _, f := range faults {
		b.WriteString(r.timesRow(f))
	}
	b.WriteString("\n| fault | rollouts | taken back | ended otherwise | requests | lost | lost after a silence | answers with an error | late or wrong answers |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range faults {
		b.WriteString(r.countsRow(f))
	}
	b.WriteString("\n" + r.needed() + "\n" + r.rivals())
	return b.String()
}

// of are the rollouts with a fault.
func (r *report) of(f fault) []*trial {
	var out []*trial
	for _, tr := range r.Rollouts {
		if tr.Fault == f.name {
			out = append(out, tr)
		}
	}
	return out
}

// back says that a rollout went as it should.
func (tr *trial) back() bool { return tr.Failed == "" && tr.End == rollout.RolledBack }

// times are the times of the rollouts that were taken back.
func (r *report) times(f fault, of func(*trial) time.Duration) []time.Duration {
	var out []time.Duration
	for _, tr := range r.of(f) {
		if tr.back() {
			out = append(out, of(tr))
		}
	}
	return out
}

func toDecision(tr *trial) time.Duration { return tr.Decided.Sub(tr.Injected) }
func toLast(tr *trial) time.Duration     { return tr.Last.Sub(tr.Injected) }

func (r *report) timesRow(f fault) string {
	return fmt.Sprintf("| %s: %s | %s | %s | %s | %s |\n", f.name, f.what,
		seconds(r.times(f, toDecision)),
		seconds(r.times(f, func(tr *trial) time.Duration { return tr.Shown.Sub(tr.Decided) })),
		seconds(r.times(f, func(tr *trial) time.Duration { return tr.Last.Sub(tr.Decided) })),
		seconds(r.times(f, toLast)))
}

func (r *report) countsRow(f fault) string {
	var back, otherwise int
	var all seen
	for _, tr := range r.of(f) {
		if tr.back() {
			back++
		} else {
			otherwise++
		}
		all.Sent, all.Lost = all.Sent+tr.Sent, all.Lost+tr.Lost
		all.Stale += tr.Stale
		all.Errors, all.Harmed = all.Errors+tr.Errors, all.Harmed+tr.Harmed
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", f.name, back+otherwise, back, otherwise,
		all.Sent, all.Lost, all.Stale, all.Errors, all.Harmed)
}

// needed compares how many requests the faults took that only requests show, with what they take at least.
func (r *report) needed() string {
	var b strings.Builder
	b.WriteString("| fault | requests needed at least, on average | fault → decision, requests: median / 90 % / 99 % / maximum |\n|---|---|---|\n")
	for _, f := range faults {
		if f.event == nil {
			continue
		}
		var took []int
		for _, tr := range r.of(f) {
			if tr.back() {
				took = append(took, tr.Needed)
			}
		}
		fmt.Fprintf(&b, "| %s | %.0f | %s |\n", f.name, f.event.requests(), quantiles(took, "%d"))
	}
	return b.String()
}

// A time is told by its rank, and a rollout that ended otherwise is counted and not hidden.
func TestReportCountsEveryRollout(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := newReport()
	for i := range 100 {
		r.Rollouts = append(r.Rollouts, &trial{
			Fault: "crash", Injected: at, Decided: at.Add(100 * time.Millisecond),
			Shown: at.Add(200 * time.Millisecond), Last: at.Add(time.Duration(i+1) * 10 * time.Millisecond),
			End: rollout.RolledBack, seen: seen{Sent: 10},
		})
	}
	r.Rollouts = append(r.Rollouts, &trial{Fault: "crash", Failed: "not taken back", seen: seen{Sent: 5, Lost: 1, Errors: 2}})
	text := r.tables()
	for _, row := range []string{
		"| crash: one of two instances ends | 0.10 / 0.10 / 0.10 / 0.10 | 0.10 / 0.10 / 0.10 / 0.10 | 0.40 / 0.80 / 0.89 / 0.90 | 0.50 / 0.90 / 0.99 / 1.00 |",
		"| crash | 101 | 100 | 1 | 1005 | 1 | 0 | 2 | 0 |",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the tables lack %q:\n%s", row, text)
		}
	}
}
