package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"
	"github.com/spf13/cobra"

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
health.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if to != "" {
				return a.previous(cmd.Context(), given[0], to)
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
	return cmd
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
		Use:   "undo MODEL",
		Short: "Undo the last rollout that was completed: back to the release before it",
		Args:  args(cobra.ExactArgs(1)),
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
	keys, err := c.Traffic(ctx, model)
	if err != nil {
		return err
	}
	if to == "" {
		if keys.Stable == nil || keys.Stable.Previous == "" || keys.Stable.Previous == traffic.NoRelease {
			return fmt.Errorf("revert %s: no release before the stable one is recorded; deploy the one you want", model)
		}
		to = keys.Stable.Previous
	}
	job, err := jobOf(ctx, n, c, model, to)
	if err != nil {
		return err
	}
	spec, err := rollout.NewSpec(rollout.StrategyBlueGreen, nil, 0, 0)
	if err != nil {
		return err
	}
	rec, err := deploy.Fill(deploy.Blank(model, whoami()), job, spec)
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

// jobOf finds the job document of a release: among the versions that Nomad keeps, or in the history.
func jobOf(ctx context.Context, n *nomad.Client, c *consul.Client, model, release string) (*api.Job, error) {
	job, err := n.SpecOf(ctx, model, release)
	if err != nil || job != nil {
		return job, err
	}
	records, err := c.History(ctx, model)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Release == release && len(r.Job) > 0 {
			return jobIn(r.Record)
		}
	}
	return nil, fmt.Errorf("revert %s: neither Nomad nor the history knows release %s; `deployer history %s` lists those "+
		"that are known", model, release, model)
}

// jobIn is the job that a rollout registered.
func jobIn(r rollout.Record) (*api.Job, error) {
	var job api.Job
	if err := json.Unmarshal(r.Job, &job); err != nil {
		return nil, fmt.Errorf("read the job of rollout %s: %w", r.ID, err)
	}
	return &job, nil
}

func (a *app) retry() *cobra.Command {
	return &cobra.Command{
		Use:   "retry MODEL",
		Short: "Roll the release of the last rollout out once more, after it was taken back",
		Args:  args(cobra.ExactArgs(1)),
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
	job, err := jobIn(last.Record)
	if err != nil {
		return err
	}
	rec, err := deploy.Fill(deploy.Blank(model, whoami()), job, last.Spec)
	if err != nil {
		return err
	}
	return a.run(ctx, n, c, rec)
}
