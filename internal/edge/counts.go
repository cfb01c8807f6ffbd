// Package edge counts what an ingress tried: every request, and every attempt of nginx to have an instance answer it,
// also those that another instance made good and that no client and no instance sees. nginx logs them, Tail reads the
// log, Counts maps addresses to releases and adds up, and the numbers are served in Prometheus's format.
package edge

import (
	"sync"
	"time"

	"github.com/weirhq/weir/nginx"
)

// Counts adds up requests by model and release. It is safe for concurrent use.
type Counts struct {
	mu      sync.Mutex
	node    string // of the ingress
	began   time.Time
	tables  *tables
	series  map[series]*tally
	epochs  map[string]epoch // by model: the newest that a request was drawn under
	broken  uint64           // lines that could not be read
	unknown uint64           // requests of generations that are not known any more
	state   State
}

// series names what is counted together.
type series struct{ model, release string }

// epoch is the one whose draws are counted.
type epoch struct{ generation, name string }

// tally is what was counted of one release of one model.
type tally struct {
	codes    map[int]uint64    // requests for which it was chosen, by what the client got
	attempts map[string]uint64 // at its instances, by kind
	away     uint64            // requests for which it was chosen and which another release answered
	draws    map[int]uint64    // see draw
	buckets  []uint64          // requests by their seconds, up to each edge; one more than edges
	seconds  float64
	used     time.Time
}

// edges of the latency histogram, in seconds.
var edges = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// forget is after what time without a request a release that is not served any more is left out.
const forget = time.Hour

// New returns the counts of the ingress of a node, which begin now. load finds what a generation of nginx's configuration
// serves.
func New(node string, load func(generation string) (nginx.Site, error)) *Counts {
	return &Counts{
		node: node, began: time.Now(), tables: newTables(load), series: map[series]*tally{}, epochs: map[string]epoch{},
	}
}

// Add counts the requests of some lines of the log.
func (c *Counts) Add(lines [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, line := range lines {
		r, err := Parse(line)
		if err != nil {
			c.broken++
			continue
		}
		c.add(r, now)
	}
}

func (c *Counts) add(r Request, now time.Time) {
	t := c.tables.get(r.Generation)
	if t == nil {
		c.unknown++
		return
	}
	m, ok := t[r.Model]
	if !ok {
		return // a name that a client made up: nothing to count, and no reason for a new series
	}
	chosen := c.of(r.Model, r.Release, now)
	chosen.codes[r.Status]++
	chosen.seconds += r.Seconds
	chosen.buckets[bucket(r.Seconds)]++
	last := r.Release
	for _, a := range r.Attempts {
		last = m.instances[a.Addr]
		c.of(r.Model, last, now).attempts[a.kind()]++
	}
	if last != r.Release && r.Release != "" {
		chosen.away++
	}
	if len(r.Attempts) > 0 && !r.Forced && c.current(r, m.epoch) && m.instances[r.Attempts[0].Addr] == r.Release {
		chosen.draws[r.Attempts[0].Code]++
	}
}

// current reports whether the request was drawn under the newest epoch of its model, of which alone draws are counted: a
// request that an old worker finishes was drawn with other odds. A newer epoch begins anew.
func (c *Counts) current(r Request, name string) bool {
	now := c.epochs[r.Model]
	if now.name != name && !older(r.Generation, now.generation) {
		c.epochs[r.Model] = epoch{r.Generation, name}
		for s, t := range c.series {
			if s.model == r.Model {
				t.draws = map[int]uint64{}
			}
		}
		return true
	}
	return now.name == name
}

func (c *Counts) of(model, release string, now time.Time) *tally {
	t := c.series[series{model, release}]
	if t == nil {
		t = &tally{
			codes: map[int]uint64{}, attempts: map[string]uint64{}, draws: map[int]uint64{},
			buckets: make([]uint64, len(edges)+1),
		}
		c.series[series{model, release}] = t
	}
	t.used = now
	return t
}

func bucket(seconds float64) int {
	for i, edge := range edges {
		if seconds <= edge {
			return i
		}
	}
	return len(edges)
}
