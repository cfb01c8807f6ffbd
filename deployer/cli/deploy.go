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

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/deployer/spec"
)

// deployFlags are the flags of `deployer deploy`.
type deployFlags struct {
	deploy.Options
	strategy    string
	steps       []int
	bake, watch time.Duration
	place       time.Duration
	manual      bool
	spec        string
	judge       string
	supersede   bool
	force       bool
	vars        []string
}

func (a *app) deploy() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy MODEL MODEL_FILE --version VERSION",
		Short: "Roll out a new version of a model and see it to its end",
		Example: `  deployer deploy iris model.pkl --version v1.1.0
  deployer deploy iris model.pkl --version v1.1.0 --steps 5,25,100 --bake 2m --watch 10m
  deployer deploy iris model.pkl --version v1.1.0 --strategy blue-green --manual
  deployer deploy iris model.pkl --version v1.1.0 --spec rollout.hcl`,
		Long: `Brings the version up beside the running one, moves the traffic to it step by step, promotes it, and takes it back
when an instance turns unhealthy, or when its errors, latency or predictions are worse than those of the stable release
on the same traffic. It stays until the rollout is over; Ctrl-C takes the rollout back, a second Ctrl-C
leaves at once (the traffic is then back on the stable release, and 'deployer guard' finishes the rollout).

A rollout of the same release that lost its guardian is taken over where it stands.`,
		ValidArgsFunction: a.completeModelThenFile,
		Args:              args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.Model, f.Artifact = given[0], given[1]
			return a.runDeploy(cmd, &f)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.supersede, "supersede", false, "take a rollout of another release that is under way back first")
	return cmd
}

// register adds the flags that say what is rolled out, and how.
func (f *deployFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.spec, "spec", "", "rollout.hcl that says how to go; flags given beside it win")
	fl.StringVar(&f.judge, "judge", judgeMetrics, "metrics (what requests show, and health) or health alone")
	fl.StringVar(&f.Version, "version", "", "version of the model, like v1.1.0 (required)")
	fl.StringVar(&f.strategy, "strategy", string(rollout.StrategyCanary), "canary, blue-green or shadow")
	fl.IntSliceVar(&f.steps, "steps", nil, "weights in percent (default 10,50,100; blue-green: 100)")
	fl.DurationVar(&f.bake, "bake", time.Duration(rollout.DefaultBake), "how long each weight must hold")
	fl.DurationVar(&f.watch, "watch", time.Duration(rollout.DefaultWatch), "how long to watch at 100 % before the commit")
	fl.DurationVar(&f.place, "place", time.Duration(rollout.DefaultPlace), "how long the new instances may take to be healthy")
	fl.BoolVar(&f.manual, "manual", false, "wait for 'deployer promote' before the first request and after each step")
	fl.IntVar(&f.Count, "count", 0, "instances (default: as many as the stable release has, else 2)")
	fl.IntVar(&f.Canaries, "canaries", 0, "instances of the new release before its promote (default: as many as --count)")
	fl.BoolVar(&f.force, "force", false, "allow steps above what the canaries are sized for; it is recorded")
	fl.StringVar(&f.Digest, "digest", "", "digest that the model file must have, as sha256:<hex>")
	fl.StringVar(&f.JobFile, "job", "", "jobspec of your own, after jobs/inference.nomad.hcl")
	fl.StringArrayVar(&f.VarFiles, "var-file", nil, "HCL2 variables for the jobspec (repeatable)")
	fl.StringArrayVar(&f.vars, "var", nil, "one HCL2 variable, as name=value (repeatable)")
}

// How steps are judged.
const (
	judgeMetrics = "metrics"
	judgeHealth  = "health"
)

func (a *app) runDeploy(cmd *cobra.Command, f *deployFlags) error {
	if err := f.resolve(cmd); err != nil {
		return &codeError{exitUsage, err}
	}
	a.place.settle(&f.Spec)
	if err := f.Spec.Check(); err != nil {
		return &codeError{exitUsage, err}
	}
	ctx := cmd.Context()
	n, c, err := a.clients(ctx)
	if err != nil {
		return err
	}
	rec, err := deploy.Prepare(ctx, c, f.Options)
	if err != nil {
		return err
	}
	if cost := deploy.Cost(rec.Spec); cost != "" {
		fmt.Fprintln(a.errs, "warning: "+cost)
	}
	if f.supersede {
		if err := a.clear(ctx, n, c, rec); err != nil {
			return err
		}
	}
	return a.run(ctx, n, c, rec)
}

// clear takes a rollout of another release back and waits for its end.
func (a *app) clear(ctx context.Context, n *nomad.Client, c *consul.Client, rec rollout.Record) error {
	old, active, err := c.Active(ctx, rec.Model)
	if err != nil || !active || old.Release == rec.Release {
		return err
	}
	fmt.Fprintf(a.errs, "takes the rollout of %s back first\n", old.Release)
	return asked(a.ask(ctx, rec.Model, rollout.Request{
		Verb: rollout.VerbRevert, Why: "superseded by " + rec.Release,
	}))
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
		return rec, fmt.Errorf("a rollout of %s is under way in phase %s: `deployer promote %s` or `deployer abort %s` "+
			"ends it, `deployer deploy --supersede` takes it back first", old.Release, old.Phase, rec.Model, rec.Model)
	}
	end, err := g.Begin(ctx, rec)
	if errors.Is(err, consul.ErrHeld) {
		return end, fmt.Errorf("%w: try again when it is done, or look at `deployer status %s`", err, rec.Model)
	}
	return end, err
}

func (f *deployFlags) resolve(cmd *cobra.Command) error {
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
	given := cmd.Flags().Changed
	if f.spec != "" && given("strategy") {
		return errors.New("--strategy and --spec: the file says which strategy")
	}
	s, err := f.base()
	if err != nil {
		return err
	}
	if given("steps") || given("bake") {
		f.steer(&s, given("steps"), given("bake"))
	}
	if given("watch") {
		s.Watch = rollout.Duration(f.watch)
	}
	if given("place") {
		s.Place = rollout.Duration(f.place)
	}
	if f.manual {
		s.ManualStart = true
		for i := range s.Steps {
			s.Steps[i].Manual = i+1 < len(s.Steps)
		}
	}
	s.Force = f.force
	f.Spec = s
	return s.Check()
}

// base is the spec that the flags change: that of the file, or the strategy's own.
func (f *deployFlags) base() (s rollout.Spec, err error) {
	switch {
	case f.judge != judgeMetrics && f.judge != judgeHealth:
		return s, fmt.Errorf("--judge %q: want %q or %q", f.judge, judgeMetrics, judgeHealth)
	case f.spec != "":
		s, err = spec.Load(f.spec)
	default:
		s, err = spec.Default(rollout.Strategy(f.strategy))
	}
	if f.judge == judgeHealth {
		s.Analysis = nil
	}
	return s, err
}

// steer replaces the steps' weights, their bakes, or both. Copies come first, as before.
func (f *deployFlags) steer(s *rollout.Spec, steps, bake bool) {
	if steps {
		s.Steps = slices.DeleteFunc(s.Steps, func(step rollout.Step) bool { return !step.Shadow })
		for _, w := range f.steps {
			s.Steps = append(s.Steps, rollout.Step{Weight: w, Bake: rollout.Duration(f.bake)})
		}
	}
	for i := range s.Steps {
		if bake {
			s.Steps[i].Bake = rollout.Duration(f.bake)
		}
	}
}
