package metrics

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/weirhq/weir/deployer/analysis"
)

// Prometheus asks a Prometheus server.
type Prometheus struct{ api v1.API }

// NewPrometheus returns a client of the server at a URL.
func NewPrometheus(url string) (*Prometheus, error) {
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return nil, fmt.Errorf("configure the Prometheus client: %w", err)
	}
	return &Prometheus{api: v1.NewAPI(client)}, nil
}

// Value answers a PromQL query with one number; nil where there is no data. A query that gives several series is an
// error: which one would decide?
func (p *Prometheus) Value(ctx context.Context, promql string, at time.Time) (*float64, error) {
	result, _, _, err := p.api.Query(ctx, promql, at)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for %s: %w", promql, err)
	}
	switch r := result.(type) {
	case *model.Scalar:
		return number(float64(r.Value)), nil
	case model.Vector:
		switch len(r) {
		case 0:
			return nil, nil
		case 1:
			return number(float64(r[0].Value)), nil
		}
		return nil, fmt.Errorf("ask Prometheus for %s: it gives %d series, want one; sum() or max() make one of them",
			promql, len(r))
	}
	return nil, fmt.Errorf("ask Prometheus for %s: it gives a %s, want a number for one moment", promql, result.Type())
}

func number(v float64) *float64 {
	if math.IsNaN(v) {
		return nil // as 0/0 gives, without traffic
	}
	return &v
}

// Snapshots reads the counters of all targets from the server, as Scraper.Scrape does from the instances. The label
// instance names them by address. The numbers are as old as the server's last scrape of each.
func (p *Prometheus) Snapshots(ctx context.Context, targets []Target, at time.Time) []analysis.Snapshot {
	pages, err := p.pages(ctx, targets, at)
	if err != nil {
		return failed(targets, err)
	}
	out := make([]analysis.Snapshot, 0, len(targets))
	for _, t := range targets {
		s, err := analysis.Snapshot{}, fmt.Errorf("Prometheus does not scrape it")
		if page := pages[t.Addr]; page != nil {
			s, err = page.snapshot(t)
		}
		if err != nil {
			s = analysis.Snapshot{Alloc: t.name(), Release: t.Release, Err: fmt.Errorf("instance %s: %w", t.Addr, err)}
		}
		out = append(out, s)
	}
	return out
}

func (p *Prometheus) pages(ctx context.Context, targets []Target, at time.Time) (map[string]*page, error) {
	var addrs []string
	for _, t := range targets {
		addrs = append(addrs, regexp.QuoteMeta(t.Addr))
	}
	names := []string{familyRequests, familyLatency + "_bucket", familyClasses, familyScores + "_bucket", familyStart}
	promql := fmt.Sprintf(`{__name__=~"%s",instance=~%q}`, strings.Join(names, "|"), strings.Join(addrs, "|"))
	result, _, _, err := p.api.Query(ctx, promql, at)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for the counters: %w", err)
	}
	vector, ok := result.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("ask Prometheus for the counters: it gives a %s, want a vector", result.Type())
	}
	pages := map[string]*page{}
	for _, s := range vector {
		labels := make(map[string]string, len(s.Metric))
		for name, value := range s.Metric {
			labels[string(name)] = string(value)
		}
		addr := labels["instance"]
		if pages[addr] == nil {
			pages[addr] = &page{}
		}
		if err := pages[addr].add(labels["__name__"], labels, float64(s.Value)); err != nil {
			return nil, fmt.Errorf("instance %s: %w", addr, err)
		}
	}
	return pages, nil
}
