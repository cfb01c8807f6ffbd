package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/weirhq/weir/deployer/api"
	"github.com/weirhq/weir/deployer/board"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// daemon is the daemon whose API takes the acts; nil where they go to Consul.
func (a *app) daemon() *api.Client {
	url := a.server
	if url == "" {
		url = os.Getenv("WEIR_SERVER")
	}
	if url == "" {
		return nil
	}
	return api.NewClient(url, os.Getenv("WEIR_TOKEN"))
}

// remoteVerb is the API's name of what a command asks for.
func remoteVerb(v rollout.Verb) string {
	if v == rollout.VerbRevert {
		return "abort"
	}
	return string(v)
}

// askDaemon leaves an act with a daemon and sees what comes of it, as ask does.
func (a *app) askDaemon(ctx context.Context, d *api.Client, model string, act api.Act) error {
	if err := traffic.CheckModel(model); err != nil {
		return &codeError{exitUsage, err}
	}
	ctx, stop := a.untilSignal(ctx)
	defer stop()
	seen := &sight{shown: &printer{app: a}}
	if before, err := d.Page(ctx, model); err == nil && before.Rollout != nil && len(before.Rollout.Events) > 0 {
		seen.shown.last = before.Rollout.Events[len(before.Rollout.Events)-1].At
	}
	act.By = whoami()
	got, err := d.Act(ctx, model, act)
	if err != nil {
		return err
	}
	seen.id = got.Rollout
	after, err := d.Page(ctx, model)
	if err != nil {
		return err
	}
	if seen.page(after) {
		err = d.Follow(ctx, model, seen.page)
	}
	return a.seen(seen.last, act, err)
}

// seen turns the last that was seen of a rollout into the command's result.
func (a *app) seen(last *board.Rollout, act api.Act, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("stopped watching, the request stays: %w", err)
	case last == nil:
		return errors.New("another rollout has begun since: `deployer history` shows what came of it")
	case a.format == "json":
		err = a.printJSON(last)
	}
	if err == nil && last.Active && act.Verb != string(rollout.VerbWeights) {
		return &codeError{exitHeld, fmt.Errorf("%w: %s", errHeldElsewhere, last.Reason)}
	}
	return ended(recordOf("", last), err)
}

// sight is what is seen of a rollout after an act.
type sight struct {
	id    string
	shown *printer
	last  *board.Rollout
}

// page takes in a page, and says whether more is wanted: not after the rollout's end, nor where it holds.
func (s *sight) page(p board.Page) bool {
	r := p.Rollout
	if r == nil || r.ID != s.id {
		return s.last == nil // another one has begun since
	}
	if s.last != nil && r.Index < s.last.Index {
		return true // from before the act
	}
	s.last = r
	s.shown.show(recordOf(p.Model, r), false)
	holds := r.Phase == rollout.Held && len(r.Asked) == 0
	return r.Active && !holds
}

// recordOf is what the printer needs of a rollout.
func recordOf(model string, r *board.Rollout) rollout.Record {
	return rollout.Record{
		ID: r.ID, Model: model, Release: r.Release, Stable: r.From, Phase: r.Phase, Step: r.Step, Reason: r.Reason,
		Events: r.Events, Spec: rollout.Spec{Steps: r.Plan},
	}
}
