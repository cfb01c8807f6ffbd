package board

import (
	"context"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/metrics"
)

// Times of the samples.
const (
	every   = time.Second // between two looks at the instances
	window  = 5           // looks over which rates and quantiles are taken
	minute  = 60          // looks over which outputs are counted
	keeping = 600         // samples that are kept while somebody looks
)

// Sample is what both sides of a model did in the seconds before a moment.
type Sample struct {
	seq    uint64
	At     time.Time `json:"at"`
	Stable *Stat     `json:"stable,omitempty"`
	Canary *Stat     `json:"canary,omitempty"`
}

// Stat is what a release did in the last five seconds. The quantiles are estimated within the instances' buckets.
type Stat struct {
	Rate    float64 `json:"rate"`   // answers per second
	Errors  float64 `json:"errors"` // share of the answers with status 5xx, 0 to 1
	P50     float64 `json:"p50"`    // seconds
	P95     float64 `json:"p95"`
	P99     float64 `json:"p99"`
	Trouble string  `json:"trouble,omitempty"` // of the instances that could not be read
}

// Outputs is what both sides predicted in the last minute.
type Outputs struct {
	Stable analysis.Counts `json:"stable"`
	Canary analysis.Counts `json:"canary"`
}

// series is what has been read of a model while somebody looks.
type series struct {
	canary, stable string
	tracker        *analysis.Tracker
	totals         []total // since the tracker began, the last minute of them
	samples        []Sample
	outputs        *Outputs
}

type total struct {
	at             time.Time
	canary, stable analysis.Side
}

// since are the samples after a change.
func (s *series) since(seq uint64) []Sample {
	for i, x := range s.samples {
		if x.seq > seq {
			return append([]Sample(nil), s.samples[i:]...)
		}
	}
	return nil
}

// sampling reads the instances of the models that somebody looks at.
func (b *Board) sampling(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var all sync.WaitGroup
		for model, targets := range b.targets() {
			all.Go(func() { b.sample(ctx, model, targets) })
		}
		all.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// targets are the instances of both sides of each model that somebody looks at.
func (b *Board) targets() map[string][]metrics.Target {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string][]metrics.Target{}
	for model, p := range b.pages {
		for _, r := range p.now.Releases {
			if r.Role == roleOther {
				continue
			}
			for _, in := range r.Instances {
				out[model] = append(out[model], metrics.Target{Alloc: in.Alloc, Addr: in.Addr, Release: r.Release})
			}
		}
	}
	return out
}

func (b *Board) sample(ctx context.Context, model string, targets []metrics.Target) {
	read := b.scrape.Scrape(ctx, targets)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[model]
	if p == nil {
		return
	}
	if x, ok := p.series.add(time.Now(), p.now.Canary, p.now.Stable, read); ok {
		b.seq++
		x.seq = b.seq
		p.series.keep(x)
		b.tell()
	}
}

// add takes in a look at all instances; false for the first one of a pair of releases, which is the base line.
func (s *series) add(now time.Time, canary, stable string, read []analysis.Snapshot) (Sample, bool) {
	if s.tracker == nil || s.canary != canary || s.stable != stable {
		s.canary, s.stable, s.tracker, s.totals = canary, stable, analysis.NewTracker(canary, stable, now), nil
	}
	t := total{at: now}
	t.canary, t.stable = s.tracker.Look(read)
	s.totals = append(s.totals, t)
	if len(s.totals) > minute {
		s.totals = s.totals[1:]
	}
	if len(s.totals) == 1 {
		return Sample{}, false
	}
	base, first := s.totals[max(0, len(s.totals)-1-window)], s.totals[0]
	s.outputs = &Outputs{Stable: outputs(t.stable, first.stable), Canary: outputs(t.canary, first.canary)}
	took := t.at.Sub(base.at).Seconds()
	return Sample{At: now, Stable: stat(t.stable, base.stable, took), Canary: stat(t.canary, base.canary, took)}, true
}

func (s *series) keep(x Sample) {
	s.samples = append(s.samples, x)
	if len(s.samples) > keeping {
		s.samples = s.samples[1:]
	}
}

// stat is nil for a side without instances.
func stat(now, base analysis.Side, seconds float64) *Stat {
	if now.Listed == 0 {
		return nil
	}
	delta := now.Since(base.Counts)
	n := delta.Requests()
	s := &Stat{Rate: n / seconds, Trouble: now.Trouble}
	if n == 0 {
		return s
	}
	s.P50, s.P95, s.P99 = delta.Latency.Quantile(0.5), delta.Latency.Quantile(0.95), delta.Latency.Quantile(0.99)
	for code, of := range delta.Codes {
		if code >= 500 {
			s.Errors += float64(of) / n
		}
	}
	return s
}

// outputs are the classes and scores that a side predicted since a look.
func outputs(now, base analysis.Side) analysis.Counts {
	delta := now.Since(base.Counts)
	return analysis.Counts{Classes: delta.Classes, Scores: delta.Scores, ScoreKind: delta.ScoreKind}
}
