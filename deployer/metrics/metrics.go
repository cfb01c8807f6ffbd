// Package metrics reads what releases did: from the instances' own /metrics, from the rings of their last predictions,
// and from a Prometheus server. It turns what it reads into the analysis's words and judges nothing.
package metrics

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
)

// Target is an instance to read.
type Target struct {
	Alloc   string // Nomad's allocation id; where empty, Addr names the instance
	Addr    string // host:port
	Release string // that it is registered as
}

func (t Target) name() string {
	if t.Alloc != "" {
		return t.Alloc
	}
	return t.Addr
}

// The families of the inference server that are read.
const (
	familyRequests = "weir_requests_total"           // by code
	familyLatency  = "weir_request_duration_seconds" // a histogram
	familyClasses  = "weir_request_classes_total"    // by class, one per request
	familyScores   = "weir_request_scores"           // a histogram by kind of score, one value per request
	familyStart    = "process_start_time_seconds"
)

// families are all that is asked for.
var families = []string{familyRequests, familyLatency, familyClasses, familyScores, familyStart}

// page is what one instance tells, while it is being read.
type page struct {
	counts  analysis.Counts
	started time.Time
	release string
	latency map[float64]float64            // values up to an edge
	scores  map[string]map[float64]float64 // the same, by kind
}

// add takes in one sample. Those of other families are left out.
func (p *page) add(name string, labels map[string]string, value float64) error {
	switch name {
	case familyStart:
		return p.start(value)
	case familyLatency + "_bucket":
		return bucket(&p.latency, labels, value)
	case familyScores + "_bucket":
		if p.scores == nil {
			p.scores = map[string]map[float64]float64{}
		}
		of := p.scores[labels["score"]]
		err := bucket(&of, labels, value)
		p.scores[labels["score"]] = of
		return err
	case familyRequests, familyClasses:
		return p.count(name, labels, value)
	}
	return nil
}

func (p *page) start(value float64) error {
	if !(value > 0 && value < 1e11) {
		return fmt.Errorf("%s is %g: want seconds since 1970", familyStart, value)
	}
	p.started = time.UnixMicro(int64(value * 1e6)).UTC()
	return nil
}

func (p *page) count(name string, labels map[string]string, value float64) error {
	n, err := whole(value)
	if err != nil {
		return fmt.Errorf("%s%v: %w", name, labels, err)
	}
	if name == familyClasses {
		if p.counts.Classes == nil {
			p.counts.Classes = map[string]uint64{}
		}
		p.counts.Classes[labels["class"]] += n
		return nil
	}
	code, err := strconv.Atoi(labels["code"])
	if err != nil {
		return fmt.Errorf("%s: code %q is no number", name, labels["code"])
	}
	if p.counts.Codes == nil {
		p.counts.Codes = map[int]uint64{}
	}
	p.counts.Codes[code] += n
	p.release = labels["release"]
	return nil
}

// whole reads a counter.
func whole(v float64) (uint64, error) {
	if !(v >= 0 && v < 1<<53) || v != math.Trunc(v) {
		return 0, fmt.Errorf("the value %g is no count", v)
	}
	return uint64(v), nil
}

func bucket(to *map[float64]float64, labels map[string]string, value float64) error {
	le, err := strconv.ParseFloat(labels["le"], 64)
	if err != nil || math.IsNaN(le) {
		return fmt.Errorf("bucket edge %q is no number", labels["le"])
	}
	if *to == nil {
		*to = map[float64]float64{}
	}
	(*to)[le] = value
	return nil
}

// snapshot completes what was read of an instance. An instance of another release than it is registered as, or one that
// counts no requests, was not read.
func (p *page) snapshot(t Target) (analysis.Snapshot, error) {
	s := analysis.Snapshot{Alloc: t.name(), Release: t.Release, Started: p.started}
	switch {
	case p.counts.Codes == nil:
		return s, fmt.Errorf("it has no %s: is it an inference server?", familyRequests)
	case p.release != t.Release:
		return s, fmt.Errorf("it says that it is of release %q, Consul has it as %q", p.release, t.Release)
	}
	var err error
	if p.counts.Latency, err = histogram(p.latency); err != nil {
		return s, fmt.Errorf("%s: %w", familyLatency, err)
	}
	if len(p.scores) > 1 {
		return s, fmt.Errorf("%s is of several kinds of score", familyScores)
	}
	for kind, of := range p.scores {
		p.counts.ScoreKind = kind
		if p.counts.Scores, err = histogram(of); err != nil {
			return s, fmt.Errorf("%s: %w", familyScores, err)
		}
	}
	s.Counts = p.counts
	return s, nil
}

// histogram takes cumulative counts by edge apart.
func histogram(upTo map[float64]float64) (h analysis.Histogram, err error) {
	if len(upTo) == 0 {
		return h, nil
	}
	edges := make([]float64, 0, len(upTo))
	for edge := range upTo {
		edges = append(edges, edge)
	}
	sort.Float64s(edges)
	if !math.IsInf(edges[len(edges)-1], 1) {
		return h, fmt.Errorf("there is no bucket up to +Inf")
	}
	h.Counts = make([]uint64, len(edges))
	below := uint64(0)
	for i, edge := range edges {
		n, err := whole(upTo[edge])
		if err != nil || n < below {
			return analysis.Histogram{}, fmt.Errorf("the bucket up to %g holds %g, the one below %d",
				edge, upTo[edge], below)
		}
		h.Counts[i], below = n-below, n
	}
	h.Edges = edges[:len(edges)-1]
	return h, nil
}

// Expand replaces $model, $canary, $stable and $window in a PromQL text. Other dollar signs stay.
func Expand(promql, model, canary, stable string, window time.Duration) string {
	seconds := strconv.Itoa(max(int(window.Seconds()), 1)) + "s"
	r := strings.NewReplacer("$model", model, "$canary", canary, "$stable", stable, "$window", seconds)
	return r.Replace(promql)
}

// failed says of all targets that they could not be read.
func failed(targets []Target, err error) []analysis.Snapshot {
	out := make([]analysis.Snapshot, 0, len(targets))
	for _, t := range targets {
		out = append(out, analysis.Snapshot{Alloc: t.name(), Release: t.Release, Err: err})
	}
	return out
}
