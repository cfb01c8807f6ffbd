//go:build linux

package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// result is what became of an event.
type result struct {
	event

	Met      point         `json:"met"`      // where the fault met the rollout
	Injected bool          `json:"injected"` // false where there was nothing to hit any more
	End      rollout.Phase `json:"end"`
	Operator bool          `json:"operator"` // it waited for one, who took it back
	Reason   string        `json:"reason,omitempty"`
	Took     time.Duration `json:"took_ns"`
	Sent     int           `json:"sent"`
	Lost     int           `json:"lost"`
	Broken   int           `json:"lost_on_killed_connections"`
	Unfenced string        `json:"unfenced,omitempty"` // what a guardian wrote without the lease
	Failed   string        `json:"failed,omitempty"`   // the promises that were broken

	Usage  map[string]usage `json:"usage"` // of the parts, after it
	Folder int64            `json:"folder_bytes"`
}

// report is what a run has shown.
type report struct {
	Seed     uint64        `json:"seed"`
	Duration time.Duration `json:"duration_ns"`
	Commit   string        `json:"commit"`
	Nomad    string        `json:"nomad"`
	Rollouts []result      `json:"rollouts"`
}

// commit names the revision under test, with -dirty where the work tree has changes.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func (r report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	return nil
}

// tally sums the rollouts of one fault.
type tally struct{ rollouts, injected, done, back, operator, sent, lost, broken int }

func (t *tally) add(r result) {
	t.rollouts++
	if r.Injected {
		t.injected++
	}
	switch {
	case r.Operator:
		t.operator++
	case r.End == rollout.Done:
		t.done++
	case r.End == rollout.RolledBack:
		t.back++
	}
	t.sent, t.lost, t.broken = t.sent+r.Sent, t.lost+r.Lost, t.broken+r.Broken
}

func (t tally) row(name string) string {
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n",
		name, t.rollouts, t.injected, t.done, t.back, t.operator, t.sent, t.lost, t.broken)
}

// table has a row for each fault.
func (r report) table() string {
	var b, rows strings.Builder
	fmt.Fprintf(&b, "Seed %d, %s, commit %s, %s.\n\n", r.Seed, r.Duration.Round(time.Second), r.Commit, r.Nomad)
	b.WriteString("| fault | rollouts | injected | Done | RolledBack | taken back by an operator | requests | lost | on killed connections |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	var all tally
	for _, name := range faultNames() {
		var t tally
		for _, res := range r.Rollouts {
			if res.Fault == name {
				t.add(res)
				all.add(res)
			}
		}
		if t.rollouts > 0 {
			rows.WriteString(t.row(faults[name].what))
		}
	}
	return b.String() + rows.String() + all.row("all") + "\n" + r.coverage()
}

// coverage counts how often each fault met each phase.
func (r report) coverage() string {
	met := map[string]map[rollout.Phase]int{}
	for _, res := range r.Rollouts {
		if res.Injected {
			if met[res.Fault] == nil {
				met[res.Fault] = map[rollout.Phase]int{}
			}
			met[res.Fault][res.Met.Phase]++
		}
	}
	var b strings.Builder
	b.WriteString("| fault met the rollout in |")
	for _, p := range everywhere {
		fmt.Fprintf(&b, " %s |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(everywhere)) + "\n")
	for _, name := range faultNames() {
		if met[name] == nil {
			continue
		}
		fmt.Fprintf(&b, "| %s |", faults[name].what)
		for _, p := range everywhere {
			cell := ""
			if n := met[name][p]; n > 0 {
				cell = fmt.Sprint(n)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

const (
	docs  = "../../docs/reliability.md"
	begin = "<!-- chaos: begin, written by CHAOS_UPDATE=1 make chaos -->\n"
	end   = "<!-- chaos: end -->"
)

// update writes the table between the marks in the docs.
func (r report) update() error {
	text, err := os.ReadFile(docs)
	if err != nil {
		return fmt.Errorf("read the docs: %w", err)
	}
	before, rest, ok1 := bytes.Cut(text, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		return fmt.Errorf("update %s: it lacks the marks %q and %q", docs, begin, end)
	}
	text = []byte(string(before) + begin + "\n" + r.table() + "\n" + end + string(after))
	if err := os.WriteFile(docs, text, 0o600); err != nil {
		return fmt.Errorf("update the docs: %w", err)
	}
	return nil
}

// A table counts each rollout once, by its fault and by how it ended.
func TestTableCountsRollouts(t *testing.T) {
	r := report{Seed: 7, Duration: time.Minute, Commit: "abc", Nomad: "embedded agent", Rollouts: []result{
		{event: event{Fault: "garbage"}, Met: point{rollout.Baking, 1}, Injected: true, End: rollout.Done, Sent: 10},
		{event: event{Fault: "garbage"}, Met: point{rollout.Aborting, 0}, Injected: true, End: rollout.RolledBack, Sent: 20},
		{event: event{Fault: "nginx-worker"}, End: rollout.RolledBack, Operator: true, Sent: 5, Lost: 1, Broken: 2},
	}}
	for _, row := range []string{
		"| garbage in the keys of another model | 2 | 2 | 1 | 1 | 0 | 30 | 0 | 0 |\n",
		"| SIGKILL an nginx worker | 1 | 0 | 0 | 0 | 1 | 5 | 1 | 2 |\n",
		"| all | 3 | 2 | 1 | 1 | 1 | 35 | 1 | 2 |\n",
		"| garbage in the keys of another model |  |  |  |  | 1 |  |  |  | 1 |\n",
	} {
		if table := r.table(); !strings.Contains(table, row) {
			t.Errorf("the table lacks %q:\n%s", row, table)
		}
	}
}
