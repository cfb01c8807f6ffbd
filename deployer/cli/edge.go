package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/metrics"
)

// edgeCounts is what the ingresses counted, by release, since each began to.
type edgeCounts struct {
	Edge        []metrics.EdgeTotal `json:"edge"`
	EdgeTrouble string              `json:"edge_trouble,omitempty"` // why some of it is missing
}

// readEdge reads what the ingresses count of a model, or of all for "". An ingress that can't be read is told and left out:
// what is shown beside it does not depend on it.
func readEdge(ctx context.Context, c *consul.Client, model string) (edgeCounts, error) {
	served, err := c.Ingresses(ctx)
	if err != nil {
		return edgeCounts{}, err
	}
	var counting []metrics.Ingress
	for _, node := range slices.Sorted(maps.Keys(served)) {
		if addr := served[node].Metrics; addr != "" {
			counting = append(counting, metrics.Ingress{Node: node, Addr: addr})
		}
	}
	s := metrics.NewScraper(0)
	defer s.Close()
	var out edgeCounts
	if out.Edge, err = s.Totals(ctx, counting, model); err != nil {
		out.EdgeTrouble = err.Error()
	}
	return out, nil
}

// addEdges adds to each status what the ingresses count.
func addEdges(ctx context.Context, c *consul.Client, all []modelStatus) error {
	model := "" // one read tells of all
	if len(all) == 1 {
		model = all[0].Model
	}
	counts, err := readEdge(ctx, c, model)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].EdgeTrouble = counts.EdgeTrouble
		for _, t := range counts.Edge {
			if t.Model == all[i].Model {
				all[i].Edge = append(all[i].Edge, t)
			}
		}
	}
	return nil
}

// print prints a line for each release.
func (e edgeCounts) print(out io.Writer) {
	if e.EdgeTrouble != "" {
		fmt.Fprintf(out, "  edge  incomplete: %s\n", e.EdgeTrouble)
	}
	for _, t := range e.Edge {
		release := t.Release
		if release == "" {
			release = "(not recorded)"
		}
		fmt.Fprintf(out, "  edge  %s  %d requests, %d failed; %d attempts, %d failed; %d answered by another release\n",
			release, t.Requests, t.Errors, t.Attempts, t.Failed, t.Away)
	}
}
