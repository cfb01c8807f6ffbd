package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/rollout"
)

// deployFlags are the flags of `deployer deploy`.
type deployFlags struct {
	deploy.Options
	strategy    string
	steps       []int
	bake, watch time.Duration
	place       time.Duration
	manual      bool
	vars        []string
}

func (a *app) deploy() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy MODEL MODEL_FILE --version VERSION",
		Short: "Roll out a new version of a model and see it to its end",
		Example: `  deployer deploy iris model.pkl --version v1.1.0
  deployer deploy iris model.pkl --version v1.1.0 --steps 5,25,100 --bake 2m --watch 10m
  deployer deploy iris model.pkl --version v1.1.0 --strategy blue-green --manual`,
		Long: `Brings the version up beside the running one, moves the traffic to it step by step, promotes it, and takes it back
when an instance turns unhealthy. It stays until the rollout is over; Ctrl-C takes the rollout back, a second Ctrl-C
leaves at once (the traffic is then back on the stable release, and 'deployer guard' finishes the rollout).

A rollout of the same release that lost its guardian is taken over where it stands.`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.Model, f.Artifact = given[0], given[1]
			return a.runDeploy(cmd.Context(), &f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Version, "version", "", "version of the model, like v1.1.0 (required)")
	fl.StringVar(&f.strategy, "strategy", string(rollout.StrategyCanary), "canary or blue-green")
	fl.IntSliceVar(&f.steps, "steps", nil, "weights in percent (default 10,50,100; blue-green: 100)")
	fl.DurationVar(&f.bake, "bake", time.Duration(rollout.DefaultBake), "how long each weight must hold")
	fl.DurationVar(&f.watch, "watch", time.Duration(rollout.DefaultWatch), "how long to watch at 100 % before the commit")
	fl.DurationVar(&f.place, "place", time.Duration(rollout.DefaultPlace), "how long the new instances may take to be healthy")
	fl.BoolVar(&f.manual, "manual", false, "wait for 'deployer promote' before the first request and after each step")
	fl.IntVar(&f.Count, "count", 0, "instances (default: as many as the stable release has, else 2)")
	fl.StringVar(&f.Digest, "digest", "", "digest that the model file must have, as sha256:<hex>")
	fl.StringVar(&f.JobFile, "job", "", "jobspec of your own, after jobs/inference.nomad.hcl")
	fl.StringArrayVar(&f.VarFiles, "var-file", nil, "HCL2 variables for the jobspec (repeatable)")
	fl.StringArrayVar(&f.vars, "var", nil, "one HCL2 variable, as name=value (repeatable)")
	return cmd
}

func (a *app) runDeploy(ctx context.Context, f *deployFlags) error {
	if err := f.resolve(); err != nil {
		return &codeError{exitUsage, err}
	}
	n, c, err := a.clients(ctx)
	if err != nil {
		return err
	}
	rec, err := deploy.Prepare(ctx, c, f.Options)
	if err != nil {
		return err
	}
	g := &guard.Guard{Nomad: n, Consul: c, Log: a.log()}
	return a.guarded(ctx, g, rec.Model, func(ctx context.Context) (rollout.Record, error) {
		return a.begin(ctx, g, c, rec)
	})
}

// begin starts the rollout, or takes up the one of the same release that is under way.
func (a *app) begin(ctx context.Context, g *guard.Guard, c *consul.Client, rec rollout.Record) (rollout.Record, error) {
	old, active, err := c.Active(ctx, rec.Model)
	if err != nil {
		return rec, err
	}
	switch {
	case active && old.Release == rec.Release:
		fmt.Fprintf(a.errs, "a rollout of %s is under way in phase %s: sees it to its end\n", old.Release, old.Phase)
		return g.Finish(ctx, rec.Model, old.ID)
	case active:
		return rec, fmt.Errorf("a rollout of %s is under way in phase %s: `deployer promote %s` or "+
			"`deployer revert %s` ends it", old.Release, old.Phase, rec.Model, rec.Model)
	}
	end, err := g.Begin(ctx, rec)
	if errors.Is(err, consul.ErrHeld) {
		return end, fmt.Errorf("%w: try again when it is done, or look at `deployer status %s`", err, rec.Model)
	}
	return end, err
}

func (f *deployFlags) resolve() error {
	if f.Version == "" {
		return errors.New("no version: name it with --version, like v1.1.0")
	}
	f.By = whoami()
	f.Vars = map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return fmt.Errorf("--var %s: want name=value", strconv.Quote(v))
		}
		f.Vars[name] = value
	}
	spec, err := rollout.NewSpec(rollout.Strategy(f.strategy), f.steps, rollout.Duration(f.bake), rollout.Duration(f.watch))
	if err != nil {
		return err
	}
	spec.Place = rollout.Duration(f.place)
	spec.ManualStart = f.manual
	for i := range spec.Steps {
		spec.Steps[i].Manual = f.manual && i+1 < len(spec.Steps)
	}
	f.Spec = spec
	return spec.Check()
}
