package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// modelStatus is what `deployer status` shows of a model.
type modelStatus struct {
	Model     string            `json:"model"`
	Stable    *traffic.Stable   `json:"stable"`
	Canary    *traffic.Canary   `json:"canary"`
	Served    map[string]string `json:"served"` // ingress → epochs
	Rollout   *rollout.Record   `json:"rollout"`
	Guardian  string            `json:"guardian"`
	Instances []consul.Instance `json:"instances"`
	edgeCounts
}

func (a *app) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status [MODEL…]",
		Short: "Show which release gets which share of the requests, and the rollout under way",
		Example: `  deployer status
  deployer status iris --watch
  deployer status iris -o json`,
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, models []string) error {
			switch {
			case watch:
				return a.watchStatus(cmd.Context(), models)
			}
			return a.showStatus(cmd.Context(), models)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on showing it, with each instance, until interrupted")
	return cmd
}

func (a *app) showStatus(ctx context.Context, models []string) error {
	c, err := a.consul(ctx)
	if err != nil {
		return err
	}
	all, err := a.statuses(ctx, c, models)
	if err != nil {
		return err
	}
	if a.format == "json" {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "no models yet: `deployer deploy MODEL MODEL_FILE --version VERSION` ships the first")
	}
	for _, s := range all {
		s.print(a.out)
	}
	return nil
}

// statuses is the status of the models, or of all.
func (a *app) statuses(ctx context.Context, c *consul.Client, models []string) ([]modelStatus, error) {
	if len(models) == 0 {
		var err error
		if models, err = c.Models(ctx); err != nil {
			return nil, err
		}
	}
	all := make([]modelStatus, 0, len(models))
	for _, m := range models {
		s, err := statusOf(ctx, c, m)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, addEdges(ctx, c, all)
}

func statusOf(ctx context.Context, c *consul.Client, model string) (modelStatus, error) {
	s := modelStatus{Model: model, Served: map[string]string{}}
	if err := traffic.CheckModel(model); err != nil {
		return s, &codeError{exitUsage, err}
	}
	keys, err := c.Traffic(ctx, model)
	if err != nil {
		return s, err
	}
	s.Stable, s.Canary = keys.Stable, keys.Canary
	if s.Instances, err = c.Instances(ctx, model); err != nil {
		return s, err
	}
	ingresses, err := c.Ingresses(ctx)
	if err != nil {
		return s, err
	}
	for node, in := range ingresses {
		s.Served[node] = in.Epoch[model]
	}
	rec, active, err := c.Active(ctx, model)
	if err != nil {
		return s, err
	}
	if active {
		rec.Job = nil // long, and Nomad shows it better
		s.Rollout, s.Guardian = &rec.Record, c.Holder(ctx, model)
	}
	if s.Stable == nil && len(s.Instances) == 0 && !active {
		return s, fmt.Errorf("no model %q: it has no record and no instance; `deployer status` lists what there is", model)
	}
	return s, nil
}

func (s modelStatus) print(out io.Writer) {
	fmt.Fprintln(out, s.Model)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	canary, share := "", 0
	if s.Canary != nil {
		canary, share = s.Canary.Release, s.Canary.Weight
	}
	if s.Stable == nil {
		fmt.Fprintf(w, "  stable\tnot recorded: passing instances that are no canaries serve\n")
	} else {
		fmt.Fprintf(w, "  stable\t%s\t%3d %%\t%s\n", s.Stable.Release, 100-share, s.health(s.Stable.Release))
	}
	switch {
	case s.Canary != nil:
		fmt.Fprintf(w, "  canary\t%s\t%3d %%\t%s\n", canary, share, s.health(canary))
	case s.Rollout != nil:
		fmt.Fprintf(w, "  canary\t%s\t  0 %%\t%s\n", s.Rollout.Release, s.health(s.Rollout.Release))
	}
	if r := s.Rollout; r != nil {
		fmt.Fprintf(w, "  rollout\t%s\n  guardian\t%s\n", where(*r, time.Now()), orNobody(s.Guardian))
	}
	for _, node := range slices.Sorted(maps.Keys(s.Served)) {
		fmt.Fprintf(w, "  ingress %s\tserves epoch %s\n", node, orNobody(s.Served[node]))
	}
	_ = w.Flush() // to the terminal: nothing to do about an error
	s.edgeCounts.print(out)
}

func (s modelStatus) health(release string) string {
	var passing, all int
	var color string
	for _, in := range s.Instances {
		if in.Release != release {
			continue
		}
		all++
		color = in.Color
		if in.Status == "passing" {
			passing++
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%d of %d passing  %s", passing, all, color))
}

// where says in a few words where a rollout stands.
func where(r rollout.Record, now time.Time) string {
	parts := []string{string(r.Spec.Strategy), string(r.Phase)}
	if r.Phase.InStep() {
		parts = append(parts, fmt.Sprintf("step %d of %d", r.Step+1, len(r.Spec.Steps)))
	}
	if left := r.Deadline.Sub(now); !r.Deadline.IsZero() && left > 0 {
		parts = append(parts, left.Round(time.Second).String()+" left")
	}
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	return strings.Join(parts, ", ")
}

func orNobody(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (a *app) history() *cobra.Command {
	var events bool
	cmd := &cobra.Command{
		Use:   "history MODEL",
		Short: "List the rollouts of a model, newest first",
		Example: `  deployer history iris
  deployer history iris --events`,
		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.showHistory(cmd.Context(), given[0], events)
		},
	}
	cmd.Flags().BoolVar(&events, "events", false, "with each rollout's log")
	return cmd
}

func (a *app) showHistory(ctx context.Context, model string, events bool) error {
	if err := traffic.CheckModel(model); err != nil {
		return &codeError{exitUsage, err}
	}
	c, err := a.consul(ctx)
	if err != nil {
		return err
	}
	records, err := c.History(ctx, model)
	if err != nil {
		return err
	}
	if a.format == "json" {
		all := make([]rollout.Record, 0, len(records))
		for _, r := range records {
			r.Job = nil // long, and Nomad shows it better
			all = append(all, r.Record)
		}
		return a.printJSON(all)
	}
	if len(records) == 0 {
		return fmt.Errorf("no rollout of %q yet", model)
	}
	for _, r := range records {
		fmt.Fprintf(a.out, "%s  %-11s %-24s %-10s %s  %s\n", r.Created.Local().Format(time.DateTime),
			r.Phase, r.Release, r.Spec.Strategy, r.By, r.Reason)
		p := printer{app: a}
		for _, e := range r.Events {
			if events {
				p.line(r.Record, e)
			}
		}
	}
	return nil
}
