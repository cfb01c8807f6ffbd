//go:build linux

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// event is one rollout of the schedule and the fault in it. It is drawn from the seed alone.
type event struct {
	Number int           `json:"number"`
	Canary string        `json:"canary"`   // what is rolled out: good, unhealthy or crash
	Fault  string        `json:"fault"`    // a name in faults
	At     point         `json:"at"`       // the point of the rollout that the fault waits for
	Delay  time.Duration `json:"delay_ns"` // from there to the fault
	Pick   int           `json:"pick"`     // which instance, where there are several
}

func (e event) String() string {
	return fmt.Sprintf("rollout %d: %s canary, %s %s after %s", e.Number, e.Canary, e.Fault,
		e.Delay.Round(time.Millisecond), e.At)
}

// point is a place on a rollout's way.
type point struct {
	Phase rollout.Phase `json:"phase"`
	Step  int           `json:"step"`
}

func (p point) String() string {
	if p.Phase.InStep() {
		return fmt.Sprintf("%s of step %d", p.Phase, p.Step+1)
	}
	return string(p.Phase)
}

// The points in the order in which a good rollout comes to them.
var (
	placing   = point{rollout.Placing, 0}
	settling  = point{rollout.Settling, 0}
	baking    = point{rollout.Baking, 0}
	second    = point{rollout.Baking, 1}
	watching  = point{rollout.Watching, 1}
	promoting = point{rollout.Promoting, 1}

	everywhere = []point{placing, settling, baking, second, watching, promoting}
	trafficked = []point{baking, second, watching}
)

// schedule draws one event after the other.
type schedule struct {
	rand   *rand.Rand
	names  []string
	deck   []string // faults that are still to come before all are dealt anew
	number int
}

func newSchedule(seed uint64, names []string) *schedule {
	return &schedule{rand: rand.New(rand.NewPCG(seed, 0)), names: names} //nolint:gosec // it is to be repeatable
}

func (s *schedule) next() event {
	if len(s.deck) == 0 {
		s.deck = slices.Clone(s.names)
		s.rand.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	s.number++
	e := event{Number: s.number, Fault: s.deck[0], Pick: s.rand.IntN(2)}
	s.deck = s.deck[1:]
	// Two of three are good: a bad one is over before it comes to the later points.
	e.Canary = []string{"good", "good", "good", "good", "unhealthy", "crash"}[s.rand.IntN(6)]
	points := faults[e.Fault].points
	e.At = points[s.rand.IntN(len(points))]
	e.Delay = time.Duration(s.rand.IntN(1000)) * time.Millisecond
	return e
}

// One seed gives one schedule, in which every fault comes once before any comes twice.
func TestScheduleIsDrawnFromTheSeed(t *testing.T) {
	names := faultNames(true)
	a, b := newSchedule(7, names), newSchedule(7, names)
	seen := map[string]bool{}
	for range names {
		e := a.next()
		if other := b.next(); e != other {
			t.Fatalf("the same seed gives %v and %v", e, other)
		}
		seen[e.Fault] = true
	}
	if len(seen) != len(names) {
		t.Errorf("%d of %d faults in the first round", len(seen), len(names))
	}
	if newSchedule(7, names).next() == newSchedule(8, names).next() {
		t.Error("two seeds begin with the same event")
	}
}
