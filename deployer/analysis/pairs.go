package analysis

import "encoding/json"

// Pairs counts requests that both releases answered: shadow traffic, matched by request id.
type Pairs struct {
	Pairs    uint64    `json:"pairs"`
	Disagree uint64    `json:"disagree"` // pairs whose outputs differ by more than the tolerance
	Worst    *Mismatch `json:"worst,omitempty"`
}

// Output is what one instance answered to one request, as it stands in the instance's ring.
type Output struct {
	ID    string          // of the request
	Value json.RawMessage // the prediction
}

// Matcher finds pairs in what is read, again and again, from rings of outputs that overlap. Each request counts once.
// It is not safe for concurrent use.
type Matcher struct {
	tolerance Tolerance
	waiting   map[string]half // by request id
	order     []string        // ids in the order in which they came, for forgetting
	pairs     Pairs
}

// half is a request of which one side, or both, are known.
type half struct {
	canary, stable json.RawMessage
	done           bool
}

// maxWaiting bounds a Matcher's memory: the requests that it remembers, paired ones too.
const maxWaiting = 100_000

// NewMatcher returns a matcher that has seen nothing.
func NewMatcher(tolerance Tolerance) *Matcher {
	return &Matcher{tolerance: tolerance, waiting: map[string]half{}}
}

// Add takes in what one ring holds and returns all pairs up to now. A request id seen twice on one side keeps its first
// output. Outputs without an id are left out.
func (m *Matcher) Add(ofCanary bool, outputs []Output) Pairs {
	for _, o := range outputs {
		if o.ID == "" {
			continue
		}
		h, known := m.waiting[o.ID]
		if !known {
			m.remember(o.ID)
		}
		if h.done {
			continue
		}
		if ofCanary && h.canary == nil {
			h.canary = o.Value
		} else if !ofCanary && h.stable == nil {
			h.stable = o.Value
		}
		if h.canary != nil && h.stable != nil {
			m.compare(o.ID, h)
			h = half{done: true}
		}
		m.waiting[o.ID] = h
	}
	return m.pairs
}

func (m *Matcher) remember(id string) {
	if len(m.order) >= maxWaiting {
		for _, old := range m.order[:maxWaiting/2] {
			delete(m.waiting, old)
		}
		m.order = append([]string(nil), m.order[maxWaiting/2:]...)
	}
	m.order = append(m.order, id)
}

func (m *Matcher) compare(id string, h half) {
	m.pairs.Pairs++
	d := m.tolerance.Compare(h.stable, h.canary)
	if d == nil {
		return
	}
	d.Case = id
	if d.Times > 1 {
		m.pairs.Disagree++
	}
	if m.pairs.Worst == nil || d.Times > m.pairs.Worst.Times {
		m.pairs.Worst = d
	}
}
