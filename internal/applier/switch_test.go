package applier

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// times are the waits of some switches.
type times []time.Duration

func (d times) String() string {
	slices.Sort(d)
	return fmt.Sprintf("median %s, worst %s", d[len(d)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
}

// Thirty switches of all requests between two releases under eight saturating clients that POST on kept connections:
// none is lost. The two waits are printed apart: KV write → epoch published, and → last answer of the release before.
func TestSwitchesLoseNothing(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	for range 2 {
		r.serve("iris", blue, false)
		r.serve("iris", green, true)
	}
	stable := r.setStable("iris", blue)
	canary := r.setCanary("iris", green, 0)
	r.start()
	r.awaitEpoch("iris", traffic.ServedEpoch(stable, &traffic.Canary{Epoch: canary}))
	l := r.load(8, "/predict")
	var shown, lastOld times
	for i := range 30 {
		old, weight := blue, 100
		if i%2 == 1 {
			old, weight = green, 0
		}
		began := time.Now()
		canary = r.setCanary("iris", green, weight)
		r.awaitEpoch("iris", traffic.ServedEpoch(stable, &traffic.Canary{Epoch: canary}))
		shown = append(shown, time.Since(began))
		r.quiet(l, old)
		lastOld = append(lastOld, l.lastAnswer(old).Sub(began))
	}
	if lost := l.end(); len(lost) > 0 {
		t.Errorf("%d of %d requests lost: %q", len(lost), l.sent.Load(), lost[:min(5, len(lost))])
	}
	t.Logf("%d requests; KV write → epoch shown: %s; → last old answer: %s", l.sent.Load(), shown, lastOld)
}

// Clients that think for less than the drain window between two requests lose none either.
func TestThinkingClientsLoseNothing(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.twoSides(0)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.thinkingLoad(32, "/predict", r.cfg.withDefaults().DrainWindow*3/4)
	for i := range 10 {
		epoch := r.setCanary("iris", green, 100*(i%2))
		r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	}
	r.noneLost(l)
}

// quiet waits until a release has not answered for a while.
func (r *rig) quiet(l *load, release string) {
	r.t.Helper()
	r.await(release+" answers no more", 5*time.Second, func() bool {
		return time.Since(l.lastAnswer(release)) > 200*time.Millisecond
	})
}
