package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

func (a *app) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain MODEL [ROLLOUT]",
		Short: "Say why the last rollout went as it did: verdicts with their numbers, allocations, checks, last log lines",
		Example: `  deployer explain iris
  deployer explain iris 20260102T030405.000Z-1a2b3c`,
		ValidArgsFunction: a.completeRollouts,
		Args:              args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			id := ""
			if len(given) > 1 {
				id = given[1]
			}
			return a.showWhy(cmd.Context(), given[0], id)
		},
	}
}

func (a *app) showWhy(ctx context.Context, model, id string) error {
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
	for _, r := range records {
		if id != "" && r.ID != id {
			continue
		}
		if a.format == "json" {
			return a.printRecord(r.Record)
		}
		why(a.out, r.Record)
		return nil
	}
	if id != "" {
		return fmt.Errorf("no rollout %q of %s: `deployer history %s` lists them", id, model, model)
	}
	return fmt.Errorf("no rollout of %q yet", model)
}

func why(out io.Writer, r rollout.Record) {
	fmt.Fprintf(out, "%s  %s → %s  %s, begun %s by %s\n", r.Model, r.Stable, r.Release, r.Phase,
		r.Created.Local().Format(time.DateTime), r.By)
	if r.Reason != "" {
		fmt.Fprintf(out, "  because %s\n", r.Reason)
	}
	for _, v := range r.Verdicts {
		fmt.Fprintf(out, "\n  step %d, %d %%: %s: %s\n", v.Step+1, v.Weight, v.Outcome, v.Evidence)
		numbers(out, v.Data)
	}
	for _, h := range r.HookRuns {
		fmt.Fprintf(out, "\n  hook %s at %s: %s %s\n", h.Key, h.At.Local().Format(time.TimeOnly), okay(h.OK), h.Said)
	}
	if r.Evidence == nil {
		return
	}
	for _, e := range r.Evidence.Allocs {
		fmt.Fprintf(out, "\n  allocation %s on %s: %s\n", e.ID, e.Node, e.Status)
		lines(out, "event", e.Events)
		lines(out, "check", e.Checks)
		lines(out, "log", strings.Split(strings.TrimSpace(e.Log), "\n"))
	}
}

func okay(ok bool) string {
	if ok {
		return "succeeded"
	}
	return "failed"
}

func lines(out io.Writer, what string, of []string) {
	for _, l := range of {
		if l != "" {
			fmt.Fprintf(out, "    %s  %s\n", what, l)
		}
	}
}

// numbers prints a verdict's metrics, a line each.
func numbers(out io.Writer, data json.RawMessage) {
	var v analysis.Verdict
	if len(data) == 0 || json.Unmarshal(data, &v) != nil {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "    metric\toutcome\tcanary\tstable\tn\tp\t\n")
	for _, r := range v.Results {
		fmt.Fprintf(w, "    %s\t%s\t%.4g\t%.4g\t%.0f\t%.3g\t%s\n", r.Metric, r.Outcome, r.Canary, r.Stable, r.N, r.P, r.Reason)
	}
	_ = w.Flush() // to the terminal: nothing to do about an error
}
