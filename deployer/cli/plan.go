package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/metrics"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// planned is what `deployer plan` shows.
type planned struct {
	Model   string       `json:"model"`
	Stable  string       `json:"stable"`
	Release string       `json:"release"`
	Same    bool         `json:"same"` // the release is stable already
	Busy    string       `json:"busy"` // the rollout that is under way
	Spec    rollout.Spec `json:"spec"`
	Least   string       `json:"least"`          // how long it takes at least, without placing and settling
	RPS     float64      `json:"rps"`            // requests per second of the model now
	Finds   [][]string   `json:"finds"`          // by step: what it can find
	Cost    string       `json:"cost,omitempty"` // of fewer canaries than instances
	Nomad   nomad.Plan   `json:"nomad"`
	edgeCounts
}

func (a *app) plan() *cobra.Command {
	var f deployFlags
	var rps float64
	cmd := &cobra.Command{
		Use:   "plan MODEL MODEL_FILE --version VERSION",
		Short: "Show what a deploy would do: Nomad's diff, steps, durations, room, and what each step can find",
		Long: `Shows what 'deployer deploy' with the same arguments would do, and changes nothing. It exits with 1 where the rollout
could not be carried out: another one is under way, or Nomad has no room for the new instances.`,
		Example: `  deployer plan iris model.pkl --version v1.1.0
  deployer plan iris model.pkl --version v1.1.0 --spec rollout.hcl --rps 30`,
		ValidArgsFunction: a.completeModelThenFile,
		Args:              args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.Model, f.Artifact = given[0], given[1]
			return a.runPlan(cmd, &f, rps)
		},
	}
	f.register(cmd)
	cmd.Flags().Float64Var(&rps, "rps", 0, "requests per second to reckon with (default: as many as the instances answer now)")
	return cmd
}

func (a *app) runPlan(cmd *cobra.Command, f *deployFlags, rps float64) error {
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
	p := planned{Model: rec.Model, Release: rec.Release, Spec: rec.Spec, Least: atLeast(rec.Spec).String(), RPS: rps}
	p.Cost = deploy.Cost(rec.Spec)
	if n, err = n.In(nomad.PlaceOf(rec.Spec)); err != nil {
		return err
	}
	if p.Nomad, err = n.Plan(ctx, rec.Job); err != nil {
		return err
	}
	if p.edgeCounts, err = readEdge(ctx, c, rec.Model); err != nil {
		return err
	}
	if err := p.fill(ctx, c, rec); err != nil {
		return err
	}
	if a.format == "json" {
		err = a.printJSON(p)
	} else {
		p.print(a.out)
	}
	switch {
	case err != nil:
		return err
	case p.Busy != "":
		return fmt.Errorf("a rollout of %s is under way: `deployer abort %s` ends it, or deploy with --supersede", p.Busy, p.Model)
	case len(p.Nomad.NoRoom) > 0:
		return fmt.Errorf("%s", p.Nomad.NoRoom[0])
	}
	return nil
}

// fill adds what Consul and the instances know.
func (p *planned) fill(ctx context.Context, c *consul.Client, rec rollout.Record) error {
	keys, err := c.Traffic(ctx, p.Model)
	if err != nil {
		return err
	}
	if keys.Stable != nil {
		p.Stable = keys.Stable.Release
	}
	p.Same = p.Stable == p.Release
	if old, active, err := c.Active(ctx, p.Model); err != nil {
		return err
	} else if active {
		p.Busy = old.Release
	}
	if p.RPS == 0 {
		if p.RPS, err = requestRate(ctx, c, p.Model); err != nil {
			return err
		}
	}
	cfg, judged, err := judge.Of(rec.Spec)
	if err != nil {
		return err
	}
	for _, s := range rec.Spec.Steps {
		var finds []string
		if judged && rec.Spec.Analysis.Steps && !s.Shadow && p.RPS > 0 {
			t := analysis.Traffic{RPS: p.RPS, Share: float64(s.Weight) / 100}
			finds = cfg.Spec.Foresee(t, judge.Steps(rec.Spec), time.Duration(s.Bake))
		}
		p.Finds = append(p.Finds, finds)
	}
	return nil
}

// rateOver is how long requests are counted to know their rate.
const rateOver = 2 * time.Second

// requestRate counts what the instances of a model answer for a moment.
func requestRate(ctx context.Context, c *consul.Client, model string) (float64, error) {
	instances, err := c.Instances(ctx, model)
	if err != nil || len(instances) == 0 {
		return 0, err
	}
	var targets []metrics.Target
	for _, in := range instances {
		targets = append(targets, metrics.Target{Alloc: in.Alloc, Addr: in.Addr, Release: in.Release})
	}
	s := metrics.NewScraper(0)
	defer s.Close()
	total := func() (n float64) {
		for _, snapshot := range s.Scrape(ctx, targets) {
			n += snapshot.Requests()
		}
		return n
	}
	began, first := time.Now(), total()
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(rateOver):
	}
	return max(total()-first, 0) / time.Since(began).Seconds(), nil
}

func (p planned) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %s → %s, %s\n", p.Model, orNobody(p.Stable), p.Release, p.Spec.Strategy)
	if p.Same {
		fmt.Fprintln(out, "  the release is stable already: nothing to do")
	}
	fmt.Fprintf(out, "  %d new instances beside the old ones; at least %s, without placing and settling\n", p.Spec.Trial(), p.Least)
	if p.Cost != "" {
		fmt.Fprintf(out, "  warning: %s\n", p.Cost)
	}
	fmt.Fprintf(out, "  traffic now: %.3g requests/s\n", p.RPS)
	p.edgeCounts.print(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, s := range p.Spec.Steps {
		share := fmt.Sprintf("%d %%", s.Weight)
		if s.Shadow {
			share = "copies"
		}
		gate := ""
		if s.Manual {
			gate = "then a gate"
		}
		fmt.Fprintf(w, "  step %d\t%s\tbakes %s\t%s\n", i+1, share, time.Duration(s.Bake), gate)
		for _, f := range p.Finds[i] {
			fmt.Fprintf(w, "  \t  finds %s\t\t\n", f)
		}
	}
	_ = w.Flush() // to the terminal: nothing to do about an error
	fmt.Fprintf(out, "  watch at 100 %% for %s, then promote\n", time.Duration(p.Spec.Watch))
	for _, what := range slices.Sorted(maps.Keys(p.Nomad.Updates)) {
		fmt.Fprintf(out, "  Nomad: %d × %s\n", p.Nomad.Updates[what], what)
	}
	lines(out, "diff", p.Nomad.Diff)
	lines(out, "no room", p.Nomad.NoRoom)
}
