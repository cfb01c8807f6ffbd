package metrics

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"sync"
)

// EdgeTotal is what ingresses counted of one release of a model since they began to count.
type EdgeTotal struct {
	Model    string `json:"model"`
	Release  string `json:"release"`
	Requests uint64 `json:"requests"` // for which it was chosen
	Errors   uint64 `json:"errors"`   // of these, those that ended in a 5xx for the client
	Attempts uint64 `json:"attempts"` // at its instances
	Failed   uint64 `json:"failed"`   // of these, those without an answer or with a 5xx
	Away     uint64 `json:"away"`     // requests for which it was chosen and that another release answered
}

// Totals adds up what all ingresses counted, of one model or, for "", of all, by model and release. What one of them
// tells is in the sum even where another can't be read; the error says which can't.
func (s *Scraper) Totals(ctx context.Context, ingresses []Ingress, name string) ([]EdgeTotal, error) {
	pages := make([]edgePage, len(ingresses))
	errs := make([]error, len(ingresses))
	var reading sync.WaitGroup
	for i, in := range ingresses {
		reading.Go(func() { pages[i], errs[i] = s.edgeOf(ctx, in, name) })
	}
	reading.Wait()
	sum := map[[2]string]*EdgeTotal{}
	var first error
	for i, page := range pages {
		switch {
		case errs[i] == nil:
			page.add(sum)
		case first == nil:
			first = errs[i]
		}
	}
	out := make([]EdgeTotal, 0, len(sum))
	for _, t := range sum {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b EdgeTotal) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Release, b.Release))
	})
	return out, first
}

// edgeOf reads the page of one model, or of all for "", of an ingress that must be the one that is meant.
func (s *Scraper) edgeOf(ctx context.Context, in Ingress, name string) (edgePage, error) {
	var of edgeReading
	page, err := s.edgePage(ctx, in.Addr, url.Values{"model": {name}}.Encode())
	of.take(page, err)
	return page, of.snapshot(in, draw{}).Err
}

// The families of an ingress that are summed.
const (
	familyEdgeRequests = "weir_ingress_requests_total"     // by model, release and code
	familyEdgeAttempts = "weir_ingress_attempts_total"     // by model, release and outcome
	familyEdgeAway     = "weir_ingress_retried_away_total" // by model and release
)

// add takes a page into the sums.
func (p edgePage) add(sum map[[2]string]*EdgeTotal) {
	for _, name := range []string{familyEdgeRequests, familyEdgeAttempts, familyEdgeAway} {
		for _, m := range p[name].GetMetric() {
			key := [2]string{label(m, "model"), label(m, "release")}
			if sum[key] == nil {
				sum[key] = &EdgeTotal{Model: key[0], Release: key[1]}
			}
			sum[key].count(name, label(m, "code")+label(m, "outcome"), uint64(sample(m)))
		}
	}
}

func (t *EdgeTotal) count(family, what string, n uint64) {
	switch family {
	case familyEdgeRequests:
		t.Requests += n
		if what >= "5" { // a status of three digits
			t.Errors += n
		}
	case familyEdgeAttempts:
		t.Attempts += n
		if what != "answered" && what != "abandoned" {
			t.Failed += n
		}
	case familyEdgeAway:
		t.Away += n
	}
}
