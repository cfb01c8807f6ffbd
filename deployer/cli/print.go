package cli

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// printer prints each line of a record's log once.
type printer struct {
	app *app

	mu   sync.Mutex
	last time.Time
	held bool
}

// show prints what is new in a record. mine says whether this process drives it.
func (p *printer) show(rec rollout.Record, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app.format != "text" {
		return
	}
	for _, e := range rec.Events {
		if e.At.After(p.last) {
			p.line(rec, e)
		}
	}
	if n := len(rec.Events); n > 0 {
		p.last = rec.Events[n-1].At
	}
	if held := rec.Phase == rollout.Held || rec.Phase == rollout.NeedsHuman; held && !p.held {
		fmt.Fprintf(p.app.out, "          %s\n", hint(rec, mine))
	}
	p.held = rec.Phase == rollout.Held || rec.Phase == rollout.NeedsHuman
}

func (p *printer) line(rec rollout.Record, e rollout.Event) {
	by := ""
	if e.By != "" {
		by = " (" + e.By + ")"
	}
	fmt.Fprintf(p.app.out, "%s  %-10s %-4s %s%s\n",
		e.At.Local().Format(time.TimeOnly), e.Phase, stepOf(rec, e), e.What, by)
}

func stepOf(rec rollout.Record, e rollout.Event) string {
	if e.Phase.InStep() {
		return fmt.Sprintf("%d/%d", e.Step+1, len(rec.Spec.Steps))
	}
	return ""
}

func hint(rec rollout.Record, mine bool) string {
	if rec.Phase == rollout.NeedsHuman {
		return fmt.Sprintf("a person must look: `deployer status %s`; it goes on by itself once %s is healthy",
			rec.Model, rec.Stable)
	}
	stays := ""
	if mine {
		stays = " (this process guards it: leave it running)"
	}
	return fmt.Sprintf("`deployer promote %s` goes on, `deployer revert %s` goes back%s", rec.Model, rec.Model, stays)
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printRecord prints a record without its job, which is long and which Nomad shows better.
func (a *app) printRecord(rec rollout.Record) error {
	rec.Job = nil
	return a.printJSON(rec)
}
