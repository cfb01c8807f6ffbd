package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weirhq/weir/deployer/analysis"
)

// Scraper reads instances over HTTP. It keeps connections between looks.
type Scraper struct {
	client  *http.Client
	timeout time.Duration
	turns   chan struct{} // as many as instances may be read at the same time
	edges   edges
}

// Bounds of reading one instance.
const (
	DefaultTimeout = time.Second // of one instance's answer
	maxPage        = 4 << 20     // bytes
	atOnce         = 64          // instances
	maxIdle        = 256         // connections that are kept: with more instances each look makes new ones
)

// Shared is the scraper of all who watch instances in this process.
var Shared = sync.OnceValue(func() *Scraper { return NewScraper(0) })

// NewScraper returns a scraper that gives each instance the timeout; 0 means DefaultTimeout.
func NewScraper(timeout time.Duration) *Scraper {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	transport := &http.Transport{MaxIdleConns: maxIdle, MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Second}
	return &Scraper{client: &http.Client{Transport: transport}, timeout: timeout, turns: make(chan struct{}, atOnce)}
}

// Close gives the kept connections up.
func (s *Scraper) Close() { s.client.CloseIdleConnections() }

// Scrape reads all targets, at the same time as far as possible: what is compared should be of one moment. The answer
// has a snapshot for each target, in order; those that could not be read say why.
func (s *Scraper) Scrape(ctx context.Context, targets []Target) []analysis.Snapshot {
	out := make([]analysis.Snapshot, len(targets))
	var reading sync.WaitGroup
	for i, t := range targets {
		s.turns <- struct{}{}
		reading.Go(func() {
			defer func() { <-s.turns }()
			out[i] = s.read(ctx, t)
		})
	}
	reading.Wait()
	return out
}

func (s *Scraper) read(ctx context.Context, t Target) analysis.Snapshot {
	snapshot, err := s.snapshot(ctx, t)
	if err != nil {
		return analysis.Snapshot{Alloc: t.name(), Release: t.Release, Err: fmt.Errorf("scrape %s: %w", t.Addr, err)}
	}
	return snapshot
}

// only asks the instance to leave the other families out (promhttp's name[] parameter).
var only = url.Values{"name[]": families}.Encode()

func (s *Scraper) snapshot(ctx context.Context, t Target) (analysis.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	res, err := s.get(ctx, "http://"+t.Addr+"/metrics?"+only)
	if err != nil {
		return analysis.Snapshot{}, err
	}
	defer res.Body.Close()
	p, err := parse(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return analysis.Snapshot{}, err
	}
	return p.snapshot(t)
}

// get returns an answer with status 200; the caller closes its body.
func (s *Scraper) get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("status %s", res.Status)
	}
	return res, nil
}

// parse reads a page in Prometheus's text format.
func parse(r io.Reader) (*page, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	p := &page{}
	for _, name := range families {
		for _, m := range all[name].GetMetric() {
			if err := p.addMetric(name, m); err != nil {
				return nil, fmt.Errorf("read the metrics: %w", err)
			}
		}
	}
	return p, nil
}

// addMetric takes a metric apart into samples, as Prometheus names them.
func (p *page) addMetric(name string, m *dto.Metric) error {
	labels := make(map[string]string, len(m.GetLabel())+1)
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	h := m.GetHistogram()
	if h == nil {
		return p.add(name, labels, sample(m))
	}
	for _, b := range h.GetBucket() {
		labels["le"] = fmt.Sprint(b.GetUpperBound())
		if err := p.add(name+"_bucket", labels, float64(b.GetCumulativeCount())); err != nil {
			return err
		}
	}
	return nil
}
