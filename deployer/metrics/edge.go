package metrics

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weirhq/weir/deployer/analysis"
)

// Ingress is an ingress to read.
type Ingress struct {
	Node string // as it is published
	Addr string // host:port of its metrics
}

// The families of an ingress that judges read.
const (
	familyIngress = "weir_ingress_info"                 // by node
	familyDraws   = "weir_ingress_first_attempts_total" // by model, release, epoch and code
)

const (
	maxEdgePage = 64 << 20               // bytes: the page of a thousand models has some MiB
	edgeFresh   = 200 * time.Millisecond // for so long all judges of a process share what one has read
	edgeKept    = time.Minute            // an ingress that nobody reads is forgotten
)

// edges are what was last read of each ingress, by address: each tells of all models at once.
type edges struct {
	mu sync.Mutex
	of map[string]*edgeReading
}

// edgeReading is what an ingress told. Its own lock is held while it is read.
type edgeReading struct {
	mu      sync.Mutex
	at      time.Time
	node    string
	started time.Time
	draws   map[draw]map[int]uint64 // → code → requests
	err     error
}

// draw names what first attempts are counted together.
type draw struct {
	model, release string
	epoch          uint64 // of the canary key
}

// Draws reads what the first attempts of the requests came to that ingresses drew for the releases of a model, under the
// canary's epoch. The answer has a snapshot of each release for each ingress; an ingress that can't be read says why in
// each of them.
func (s *Scraper) Draws(
	ctx context.Context, ingresses []Ingress, name string, epoch uint64, releases ...string,
) []analysis.Snapshot {
	out := make([]analysis.Snapshot, len(ingresses)*len(releases))
	var reading sync.WaitGroup
	for i, in := range ingresses {
		reading.Go(func() {
			r := s.edge(ctx, in.Addr)
			defer r.mu.Unlock()
			for k, release := range releases {
				out[i*len(releases)+k] = r.snapshot(in, draw{name, release, epoch})
			}
		})
	}
	reading.Wait()
	return out
}

// edge returns what an ingress tells, locked, and reads it if what is there is not fresh.
func (s *Scraper) edge(ctx context.Context, addr string) *edgeReading {
	r := s.edges.get(addr, time.Now())
	r.mu.Lock()
	if time.Since(r.at) > edgeFresh {
		page, err := s.edgePage(context.WithoutCancel(ctx), addr, "only=first_attempts") // others wait for it, too
		r.take(page, err)
		r.at = time.Now()
	}
	return r
}

func (e *edges) get(addr string, now time.Time) *edgeReading {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.of[addr]; r != nil {
		return r
	}
	maps.DeleteFunc(e.of, func(_ string, r *edgeReading) bool {
		if !r.mu.TryLock() {
			return false // somebody reads it
		}
		defer r.mu.Unlock()
		return now.Sub(r.at) > edgeKept
	})
	if e.of == nil {
		e.of = map[string]*edgeReading{}
	}
	r := &edgeReading{}
	e.of[addr] = r
	return r
}

// take takes a page apart, so that each judge finds its part at once.
func (r *edgeReading) take(p edgePage, err error) {
	r.node, r.started, r.draws, r.err = "", time.Time{}, map[draw]map[int]uint64{}, err
	for _, m := range p[familyIngress].GetMetric() {
		r.node = label(m, "node")
	}
	if r.err == nil && r.node == "" {
		r.err = fmt.Errorf("it has no %s: is it an ingress?", familyIngress)
	}
	for _, m := range p[familyStart].GetMetric() {
		var of page
		if err := of.start(sample(m)); err != nil && r.err == nil {
			r.err = err
		}
		r.started = of.started
	}
	for _, m := range p[familyDraws].GetMetric() {
		if err := r.add(m); err != nil && r.err == nil {
			r.err = fmt.Errorf("%s: %w", familyDraws, err)
		}
	}
}

func (r *edgeReading) add(m *dto.Metric) error {
	n, err := whole(sample(m))
	if err != nil {
		return err
	}
	code, err := strconv.Atoi(label(m, "code"))
	if err != nil {
		return fmt.Errorf("code %q is no number", label(m, "code"))
	}
	_, text, _ := strings.Cut(label(m, "epoch"), "/")
	epoch, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil //nolint:nilerr // there was no canary: nobody judges that
	}
	d := draw{label(m, "model"), label(m, "release"), epoch}
	if r.draws[d] == nil {
		r.draws[d] = map[int]uint64{}
	}
	r.draws[d][code] += n
	return nil
}

// snapshot is the part of one release. Without requests under the epoch yet, all is 0. An ingress of another name is not
// the one that was meant: two that both publish a loopback address would be counted as one, and twice.
func (r *edgeReading) snapshot(in Ingress, of draw) analysis.Snapshot {
	out := analysis.Snapshot{Alloc: in.Node + " " + of.release, Release: of.release, Started: r.started}
	err := r.err
	if err == nil && r.node != in.Node {
		err = fmt.Errorf("ingress %q answers there: run ingresses with --metrics and an address that reaches the deployer", r.node)
	}
	if err != nil {
		out.Err = fmt.Errorf("ingress %s at %s: %w", in.Node, in.Addr, err)
		return out
	}
	out.Codes = maps.Clone(r.draws[of])
	return out
}

// edgePage is what an ingress tells, by name of the family.
type edgePage map[string]*dto.MetricFamily

func (s *Scraper) edgePage(ctx context.Context, addr, query string) (edgePage, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	res, err := s.get(ctx, "http://"+addr+"/metrics?"+query)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	page, err := parser.TextToMetricFamilies(io.LimitReader(res.Body, maxEdgePage))
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return page, nil
}

// sample is the value of a metric of any simple type.
func sample(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
