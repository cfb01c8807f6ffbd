package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/api"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

func (a *app) promote() *cobra.Command {
	var full bool
	var why string
	cmd := &cobra.Command{
		Use:   "promote MODEL",
		Short: "Let the rollout under way go on: past a gate, or to its next step at once",
		Long: `Lets the rollout of the model go on: past a manual gate, after a weight set by hand, or, while it bakes, to the next
step at once. With --full it goes to 100 % and commits without baking. The kill-switch stays on.`,
		Example: `  deployer promote iris
  deployer promote iris --full --why "it mends an outage"`,
		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			verb := rollout.VerbPromote
			if full {
				verb = rollout.VerbFull
			}
			return a.ask(cmd.Context(), given[0], rollout.Request{Verb: verb, Why: why})
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "go to 100 % at once and commit")
	cmd.Flags().StringVar(&why, "why", "", "reason, for the record")
	return cmd
}

func (a *app) weights() *cobra.Command {
	q := rollout.Request{Verb: rollout.VerbWeights}
	cmd := &cobra.Command{
		Use:   "weights MODEL [PERCENT]",
		Short: "Show the canary's share of the requests, or set it by hand and hold there",
		Long: `Without PERCENT it shows what is written and what each ingress serves. With PERCENT it sets the canary's share by
hand, for emergencies; the rollout then holds there until 'deployer promote' or 'deployer revert'.`,
		Example: `  deployer weights iris
  deployer weights iris 25 --why "a closer look"`,
		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(given) == 1 {
				return a.showStatus(cmd.Context(), given[:1])
			}
			w, err := strconv.Atoi(strings.TrimSuffix(given[1], "%"))
			if err != nil || w < 0 || w > 100 {
				return usage("percent %q: want a whole number from 0 to 100", given[1])
			}
			q.Weight = w
			return a.ask(cmd.Context(), given[0], q)
		},
	}
	cmd.Flags().StringVar(&q.Why, "why", "", "reason, for the record")
	cmd.Flags().BoolVar(&q.Force, "force", false, "also above what the canary's instances are sized for; it is recorded")
	return cmd
}

// ask leaves a request with the rollout under way and sees what comes of it: to the rollout's end, or until it holds
// under a guardian that is not this process.
func (a *app) ask(ctx context.Context, model string, q rollout.Request) error {
	if d := a.daemon(); d != nil {
		return a.askDaemon(ctx, d, model, api.Act{Verb: remoteVerb(q.Verb), Why: q.Why, Weight: q.Weight, Force: q.Force})
	}
	if err := traffic.CheckModel(model); err != nil {
		return &codeError{exitUsage, err}
	}
	n, c, err := a.clients(ctx)
	if err != nil {
		return err
	}
	g := &guard.Guard{Nomad: n, Consul: c, Log: a.log()}
	q.By, q.At = whoami(), time.Now()
	rec, err := g.Ask(ctx, model, q)
	if errors.Is(err, guard.ErrNone) {
		return fmt.Errorf("%w: `deployer history %s` shows the past ones", err, model)
	}
	if err != nil {
		return err
	}
	return a.see(ctx, g, rec, q)
}

var errHeldElsewhere = errors.New("held")

// see follows the rollout, printing what comes after the request.
func (a *app) see(ctx context.Context, g *guard.Guard, rec rollout.Record, q rollout.Request) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-a.signals:
			stop(errors.New("stopped watching; the request stays"))
		case <-done:
		}
	}()
	p := &printer{app: a}
	if n := len(rec.Events); n > 0 {
		p.last, p.held = rec.Events[n-1].At, rec.Phase == rollout.Held
	}
	asked := p.last
	g.Changed = func(rec rollout.Record, mine bool) {
		p.show(rec, mine)
		if why := q.Refusal(after(rec.Events, asked)); why != "" && !mine {
			stop(fmt.Errorf("%s of %s is refused: %s", q.Verb, rec.Model, why))
		}
		taken := len(rec.Requests) == 0
		if taken && !mine && rec.Phase == rollout.Held {
			stop(&codeError{exitHeld, fmt.Errorf("%w: %s", errHeldElsewhere, rec.Reason)})
		}
	}
	end, err := g.Finish(ctx, rec.Model, rec.ID)
	held := errors.Is(err, errHeldElsewhere)
	if (err == nil || held) && a.format == "json" {
		err = errors.Join(err, a.printRecord(end))
	}
	if held && q.Verb == rollout.VerbWeights {
		return nil // that is what was asked for
	}
	return ended(end, err)
}

// after returns the events that came after a time.
func after(events []rollout.Event, at time.Time) []rollout.Event {
	i := slices.IndexFunc(events, func(e rollout.Event) bool { return e.At.After(at) })
	if i < 0 {
		return nil
	}
	return events[i:]
}

func (a *app) guard() *cobra.Command {
	return &cobra.Command{
		Use:     "guard",
		Short:   "Guard all rollouts: take over each that has lost its guardian, until stopped",
		Example: `  deployer guard`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.verbose = true
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			n, err := a.nomad()
			if err != nil {
				return err
			}
			c, err := consul.NewIn(a.consulURL, a.place.consul())
			if err != nil {
				return err
			}
			g := &guard.Guard{Nomad: n, Consul: c, Log: a.log()}
			if err := g.All(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	}
}
