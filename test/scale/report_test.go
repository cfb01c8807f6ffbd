package scale

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

const docs = "../../docs/scale.md"

// row is a line of a table: what was measured, what came out, and what was wanted.
type row struct{ what, found, wanted string }

func (f figures) table() []row {
	mode := "judged by their requests"
	if !f.Judged {
		mode = "judged by health alone"
	}
	return []row{
		{"rollouts at once, " + mode, fmt.Sprint(f.Models), ""},
		{"calls to Consul per rollout and second, while nothing happens", fmt.Sprintf("%.2f", f.Consul), ""},
		{"calls to Nomad per rollout and second, likewise", fmt.Sprintf("%.2f", f.Nomad), ""},
		{"instances scraped per second", fmt.Sprintf("%.0f", f.Scrapes), ""},
		{"CPU of the daemon, likewise", fmt.Sprintf("%.2f cores", f.CPU), ""},
		{"memory per rollout: live heap and stacks", fmt.Sprintf("%.0f KiB", f.Memory), "≤ 100 KiB"},
		{"resident memory per rollout", fmt.Sprintf("%.0f KiB", f.RSS), ""},
		{"goroutines per rollout", fmt.Sprintf("%.1f", f.Goroutines), ""},
		{"most connections to Consul, to Nomad", fmt.Sprintf("%d, %d", f.ConsulConns, f.NomadConns), "≤ 200, 100"},
		{"check critical → canary key gone, median", ms(f.P50), ""},
		{"likewise, p99", ms(f.P99), "≤ 2 s"},
		{"likewise, worst", ms(f.Most), ""},
		{"all at once: from a record to baking", ms(f.Place), ""},
		{"all at once: from the operator's word to the last promote", ms(f.Finish), ""},
	}
}

func (f edgeFigures) table() []row {
	return []row{
		{"models, instances of each", fmt.Sprintf("%d, %d", f.Models, f.PerModel), ""},
		{"queries of consul-template", fmt.Sprint(f.Watches), ""},
		{"nginx's configuration", fmt.Sprintf("%d KiB", f.ConfigKiB), ""},
		{"nginx -t", ms(f.Check), ""},
		{"KV write → staged, median and worst", ms(mid(f.Staged)) + ", " + ms(last(f.Staged)), ""},
		{"KV write → shown, median and worst", ms(mid(f.Shown)) + ", " + ms(last(f.Shown)), "≤ 1.5 s"},
		{"KV write → last old answer, median and worst", ms(mid(f.LastOld)) + ", " + ms(last(f.LastOld)), "≤ 1.5 s"},
		{"memory of nginx, with so many workers", fmt.Sprintf("%d MiB, %d", f.Memory>>10, f.Workers), ""},
		{"from the start until all models are served", ms(f.Start), ""},
		{"requests sent, lost", fmt.Sprintf("%d, %d", f.Requests, f.Lost), "none lost"},
	}
}

func mid(d []time.Duration) time.Duration  { return d[len(d)/2] }
func last(d []time.Duration) time.Duration { return d[len(d)-1] }

func ms(d time.Duration) string {
	if d >= 10*time.Second {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// report prints a table, and with SCALE_UPDATE writes it between its marks in docs/scale.md.
func report(t *testing.T, name string, rows []row) {
	t.Helper()
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, commit %s.\n\n| what | found | wanted |\n|---|---|---|\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), strings.TrimSpace(string(commit)))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.what, r.found, r.wanted)
	}
	t.Logf("\n%s", &b)
	if os.Getenv("SCALE_UPDATE") == "" {
		return
	}
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s: begin, written by make scale -->\n", name), fmt.Sprintf("<!-- %s: end -->", name)
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no marks of the table %q", docs, name)
	}
	if err := os.WriteFile(docs, []byte(before+begin+"\n"+b.String()+"\n"+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
