package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/api"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

func (a *app) revert() *cobra.Command {
	q := rollout.Request{Verb: rollout.VerbRevert}
	var to string
	cmd := &cobra.Command{
		Use:   "revert MODEL",
		Short: "Take the rollout under way back, or else go back to the release before the stable one",
		Long: `Takes the rollout of the model back. Where none is under way, it goes back to the release that was stable before, or to
the one named by --to: any that Nomad or the history still knows. That is a rollout of its own, in one switch, judged by
health. Where --to names the stable release of the rollout under way, its instances are still hot, and it is only a change
of traffic.`,
		Example: `  deployer revert iris --why "answers look wrong"
  deployer revert iris --to v1.0.0-1a2b3c4d`,
		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if d := a.daemon(); d != nil {
				act := api.Act{Verb: "revert", Why: q.Why, Force: q.Force, To: to}
				return asked(a.askDaemon(cmd.Context(), d, given[0], act))
			}
			if to != "" {
				return a.revertTo(cmd.Context(), given[0], to, q)
			}
			err := a.ask(cmd.Context(), given[0], q)
			if errors.Is(err, guard.ErrNone) {
				return a.previous(cmd.Context(), given[0], "")
			}
			return asked(err)
		},
	}
	cmd.Flags().StringVar(&q.Why, "why", "", "reason, for the record")
	cmd.Flags().BoolVar(&q.Force, "force", false, "also where nothing healthy is left to go back to")
	cmd.Flags().StringVar(&to, "to", "", "release to go back to, like v1.0.0-1a2b3c4d")
	_ = cmd.RegisterFlagCompletionFunc("to", a.completeReleases) // fails only for a flag that is not there
	return cmd
}

// revertTo goes back to a release: the one that the rollout under way would leave is hot still, so that taking that one
// back is all there is to do.
func (a *app) revertTo(ctx context.Context, model, to string, q rollout.Request) error {
	if err := traffic.CheckModel(model); err != nil {
		return &codeError{exitUsage, err}
	}
	if err := traffic.CheckRelease(to); err != nil {
		return &codeError{exitUsage, err}
	}
	c, err := a.consul(ctx)
	if err != nil {
		return err
	}
	under, active, err := c.Active(ctx, model)
	if err != nil {
		return err
	}
	if active && under.Stable == to {
		return asked(a.ask(ctx, model, q))
	}
	return a.previous(ctx, model, to)
}

// asked makes a success of a rollout that went back as it was asked to.
func asked(err error) error {
	if coded, ok := errors.AsType[*codeError](err); ok && coded.code == exitRolledBack {
		return nil
	}
	return err
}

func (a *app) undo() *cobra.Command {
	return &cobra.Command{
		Use:     "undo MODEL",
		Short:   "Undo the last rollout that was completed: back to the release before it",
		Example: `  deployer undo iris`,

		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.previous(cmd.Context(), given[0], "")
		},
	}
}

// previous rolls out an earlier release, in one switch: the one that was stable before, unless one is named.
func (a *app) previous(ctx context.Context, model, to string) error {
	n, c, err := a.clients(ctx)
	if err != nil {
		return err
	}
	rec, err := deploy.Previous(ctx, n, c, model, to, whoami())
	if err != nil {
		return err
	}
	fmt.Fprintf(a.errs, "goes back to %s\n", rec.Release)
	return a.run(ctx, n, c, rec)
}

// run drives a new rollout to its end.
func (a *app) run(ctx context.Context, n *nomad.Client, c *consul.Client, rec rollout.Record) error {
	g := &guard.Guard{Nomad: n, Consul: c, Log: a.log()}
	return a.guarded(ctx, g, rec.Model, func(ctx context.Context) (rollout.Record, error) {
		return a.begin(ctx, g, c, rec)
	})
}

func (a *app) retry() *cobra.Command {
	return &cobra.Command{
		Use:     "retry MODEL",
		Short:   "Roll the release of the last rollout out once more, after it was taken back",
		Example: `  deployer retry iris`,

		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.again(cmd.Context(), given[0])
		},
	}
}

func (a *app) again(ctx context.Context, model string) error {
	if err := traffic.CheckModel(model); err != nil {
		return &codeError{exitUsage, err}
	}
	n, c, err := a.clients(ctx)
	if err != nil {
		return err
	}
	records, err := c.History(ctx, model)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("no rollout of %q yet", model)
	}
	last := records[0]
	if last.Phase != rollout.RolledBack || len(last.Job) == 0 {
		return fmt.Errorf("retry %s: its last rollout, of %s, is in phase %s: want one that was taken back", model,
			last.Release, last.Phase)
	}
	job, err := deploy.JobIn(last.Record)
	if err != nil {
		return err
	}
	rec, err := deploy.Fill(deploy.Blank(model, whoami()), job, last.Spec)
	if err != nil {
		return err
	}
	return a.run(ctx, n, c, rec)
}
