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
	Pick   int           `json:"pick"`     // which instance or part, where there are several
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

// everywhere are the phases in which a fault may come, in a rollout's order, each with the longest delay that leaves the
// rollout in it. The others last for milliseconds.
var everywhere = []rollout.Phase{
	rollout.Placing, rollout.Verifying, rollout.Shifting, rollout.Settling, rollout.Baking, rollout.Judging,
	rollout.Watching, rollout.Promoting, rollout.Aborting,
}

var delays = map[rollout.Phase]time.Duration{
	rollout.Placing: time.Second, rollout.Settling: 100 * time.Millisecond, rollout.Baking: 1500 * time.Millisecond,
	rollout.Watching: 1500 * time.Millisecond, rollout.Promoting: 200 * time.Millisecond,
	rollout.Aborting: 500 * time.Millisecond,
}

// schedule draws one event after the other: each fault once, and then each once again, until after as many laps as there
// are phases every fault has come in every phase.
type schedule struct {
	rand   *rand.Rand
	names  []string
	deck   []string                   // faults that are still to come before all are dealt anew
	phases map[string][]rollout.Phase // likewise of each fault
	number int
}

func newSchedule(seed uint64, names []string) *schedule {
	return &schedule{
		rand:  rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // it is to be repeatable
		names: names, phases: map[string][]rollout.Phase{},
	}
}

// deal takes the next of a shuffled deck, and shuffles all anew when it is empty.
func deal[T any](r *rand.Rand, deck *[]T, all []T) T {
	if len(*deck) == 0 {
		*deck = slices.Clone(all)
		r.Shuffle(len(all), func(i, j int) { (*deck)[i], (*deck)[j] = (*deck)[j], (*deck)[i] })
	}
	card := (*deck)[0]
	*deck = (*deck)[1:]
	return card
}

func (s *schedule) next() event {
	s.number++
	e := event{Number: s.number, Fault: deal(s.rand, &s.deck, s.names), Pick: s.rand.IntN(2)}
	phases := s.phases[e.Fault]
	e.At.Phase = deal(s.rand, &phases, faults[e.Fault].phases)
	s.phases[e.Fault] = phases
	if e.At.Phase.InStep() {
		e.At.Step = s.rand.IntN(2)
	}
	if limit := delays[e.At.Phase]; limit > 0 {
		e.Delay = time.Duration(s.rand.Int64N(int64(limit)))
	}
	e.Canary = s.canary(e.At)
	return e
}

// canary draws what is rolled out: a bad one where it is to go back, and otherwise only where it comes to the point.
func (s *schedule) canary(at point) string {
	bad := []string{"unhealthy", "crash"}[s.rand.IntN(2)]
	switch {
	case at.Phase == rollout.Aborting:
		return bad
	case rank(at.Phase, at.Step) < rank(rollout.Baking, 0) && s.rand.IntN(3) == 0:
		return bad
	}
	return "good"
}

// One seed gives one schedule, in which every fault comes once before any comes twice.
func TestScheduleIsDrawnFromTheSeed(t *testing.T) {
	names := faultNames()
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

// A long schedule has every fault in every phase in which it can come.
func TestScheduleComesToEveryFaultInEveryPhase(t *testing.T) {
	names := faultNames()
	s, seen, want := newSchedule(7, names), map[string]bool{}, 0
	for range len(names) * len(everywhere) {
		e := s.next()
		seen[e.Fault+" "+string(e.At.Phase)] = true
	}
	for _, name := range names {
		want += len(faults[name].phases)
	}
	if len(seen) != want {
		t.Errorf("%d pairs of fault and phase, want %d", len(seen), want)
	}
}
