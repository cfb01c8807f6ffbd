//go:build linux

package latency

import (
	"fmt"
	"strings"
	"time"
)

// rivals sets Weir's times beside what others publish, and beside what Nomad did alone in the same run.
func (r *report) rivals() string {
	var b strings.Builder
	b.WriteString("| who, fault | fault → last answer of the canary, seconds | from |\n|---|---|---|\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "| Weir, %s | %s | this run |\n", f.name, seconds(r.times(f, toLast)))
	}
	for _, nomad := range r.nomads() {
		for _, f := range plainFaults {
			b.WriteString(r.plainRow(nomad, f))
		}
	}
	b.WriteString(published)
	return b.String()
}

// published is what the documentation of the others says; docs/latency.md has the sources.
const published = `| Flagger at its smallest interval, metrics | 50: 5 failed checks, one every 10 s | its documentation |
| Flagger at its default interval, metrics | 300: 5 failed checks, one every 60 s | its documentation |
| Flagger, instances that are not ready | 600: the progress deadline by default | its documentation |
| Argo Rollouts, metrics | 900: 3 failed measurements, one every 5 min, in its guide; there is no default | its documentation |
| Argo Rollouts, instances that are not ready | never by default: past its deadline of 600 s the rollout stays | its documentation |
`

// nomads are the Nomads that were measured alone.
func (r *report) nomads() []string {
	var out []string
	for _, tr := range r.Plain {
		if len(out) == 0 || out[len(out)-1] != tr.Nomad {
			out = append(out, tr.Nomad)
		}
	}
	return out
}

func (r *report) plainRow(nomad string, f fault) string {
	var times []time.Duration
	var kept, failed, bad int
	for _, tr := range r.Plain {
		if tr.Nomad != nomad || tr.Fault != f.name {
			continue
		}
		switch {
		case tr.Failed != "":
			failed++
		case tr.Back:
			times = append(times, tr.Last.Sub(tr.Injected))
		default:
			kept++
		}
		bad += tr.Lost + tr.Stale + tr.Errors
	}
	updates := len(times) + kept + failed
	if updates == 0 {
		return ""
	}
	text := seconds(times)
	switch {
	case kept > 0 && len(times) == 0:
		text = fmt.Sprintf("never: %d of %d kept", kept, kept+failed)
	case kept > 0:
		text += fmt.Sprintf(", %d of %d taken back", len(times), updates)
	}
	if failed > 0 {
		text += fmt.Sprintf("; %d updates could not be measured", failed)
	}
	return fmt.Sprintf("| Nomad alone (%s), %s | %s | this run, %d updates; %d requests failed |\n",
		nomad, f.name, text, updates, bad)
}
