//go:build linux

package latency

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/weirhq/weir/test/load"
)

// The traffic of each model.
const (
	clients = 4
	pause   = 40 * time.Millisecond
)

// drain is how long nginx moves clients off their connections before a reload. A client that was silent for longer, as one
// is that a busy machine doesn't let run, may send in the moment in which its connection is closed.
const drain = 200 * time.Millisecond

// rps is about how many requests a model gets in a second.
const rps = clients * float64(time.Second) / float64(pause+answerTime)

// seen is what the clients of a model saw in some time.
type seen struct {
	Sent   int    `json:"sent"`
	Lost   int    `json:"lost"`   // no answer, or one that says that no instance answered
	Stale  int    `json:"stale"`  // likewise, on a connection that was silent for longer than nginx drains it
	Errors int    `json:"errors"` // answers of an instance with an error status
	Harmed int    `json:"harmed"` // answers that show the fault otherwise
	First  string `json:"first_lost,omitempty"`
}

// witness notes the answers to the clients of a model.
type witness struct {
	mu     sync.Mutex
	now    seen
	harmed func(load.Answer) bool
	times  []time.Time          // of the answers since a fault was expected
	last   map[string]time.Time // release → its last answer, of any kind
	over   map[string]time.Time // release → since when it may not answer
	after  map[string]int       // release → how often it did
}

func newWitness() *witness {
	return &witness{last: map[string]time.Time{}, over: map[string]time.Time{}, after: map[string]int{}}
}

func (w *witness) note(a load.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now.Sent++
	w.times = append(w.times, a.At)
	switch {
	case a.Status == http.StatusOK && a.Err == nil:
	case a.Status == http.StatusInternalServerError:
		w.now.Errors++
	case a.Status == 0 && a.Pause > drain:
		w.now.Stale++
	default:
		if w.now.Lost++; w.now.First == "" {
			w.now.First = fmt.Sprintf("%v, %s after the answer before", a.Err, a.Pause)
		}
	}
	if a.Release == "" {
		return
	}
	if w.harmed != nil && w.harmed(a) {
		w.now.Harmed++
	}
	w.last[a.Release] = a.At
	if over, ok := w.over[a.Release]; ok && a.At.After(over) {
		w.after[a.Release]++
	}
}

// expect says how an answer shows the fault that is to come.
func (w *witness) expect(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.harmed, w.times = f.harmed, nil
}

// until is how many answers came since the fault was expected, up to a time.
func (w *witness) until(at time.Time) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, answered := range w.times {
		if answered.Before(at) {
			n++
		}
	}
	return n
}

// end returns what was seen since the last end, and the last answer of a release, which may not answer from now on.
func (w *witness) end(release string) (seen, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now
	w.now, w.harmed = seen{}, nil
	w.over[release] = time.Now()
	return now, w.last[release]
}

// answered is whether a release has answered yet.
func (w *witness) answered(release string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.last[release].IsZero()
}

// late is how often a release answered after its end.
func (w *witness) late(release string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.after[release]
}
