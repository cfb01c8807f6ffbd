//go:build linux

package latency

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/test/load"
)

// Bounds of one rollout.
const (
	bake       = time.Minute      // of the step in which the fault comes
	placeLimit = time.Minute      // for the canary to get its share
	backLimit  = 50 * time.Second // for the rollout to be over after the fault; less than the bake
)

// weight is the canary's share of the requests, in percent.
const weight = 50

// trial is one rollout and what became of it.
type trial struct {
	seen

	Fault    string        `json:"fault"`
	Release  string        `json:"release"`
	Injected time.Time     `json:"injected"`
	Decided  time.Time     `json:"decided"` // the guardian's decision to go back
	Shown    time.Time     `json:"shown"`   // the ingress publishes that it serves stable alone
	Last     time.Time     `json:"last"`    // the canary's last answer
	End      rollout.Phase `json:"end"`
	Reason   string        `json:"reason"`
	Needed   int           `json:"requests_to_decision"` // from the fault, of both sides
	After    int           `json:"answers_after_the_end"`
	Failed   string        `json:"failed,omitempty"`
}

// lane is a model that goes from one rollout to the next.
type lane struct {
	*system

	model   string
	count   int
	load    *load.Load
	witness *witness
	changed chan struct{} // something of the model has changed in Consul
	stop    func()
	trials  []*trial
}

// lane ships a model's first release and begins to send it requests.
func (s *system) lane(model string) *lane {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	l := &lane{system: s, model: model, witness: newWitness(), changed: make(chan struct{}, 1)}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		s.consul.Watch(ctx, model, func() {
			select {
			case l.changed <- struct{}{}:
			default:
			}
		})
	}()
	l.stop = func() { cancel(); <-watching }
	p, err := l.ship()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.within(placeLimit); err != nil {
		s.dumpLogs()
		s.t.Fatalf("ship the first release of %s: %v", model, err)
	}
	l.load, err = load.Start(s.t.Context(), load.Config{
		URL: s.addr.Ingress + "/models/" + model + "/predict", Bodies: requests, Clients: clients, Pause: pause, Each: l.witness.note,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// close ends the lane, and counts what its canaries answered after their end.
func (l *lane) close() {
	l.load.Stop()
	l.stop()
	if left, _ := l.witness.end(""); len(l.trials) > 0 {
		l.trials[len(l.trials)-1].Lost += left.Lost
	}
	for _, tr := range l.trials {
		tr.After = l.witness.late(tr.Release)
	}
}

// ship deploys the next version.
func (l *lane) ship() (*program, error) {
	file, err := filepath.Abs("../testdata/iris-v1.0.0.pkl")
	if err != nil {
		return nil, err
	}
	l.count++
	return l.deployer(l.model+".log", "deploy", l.model, file, "--version", fmt.Sprintf("v1.0.%d", l.count),
		"--steps", fmt.Sprintf("%d,100", weight), "--bake", bake.String(), "--watch", "1s",
		"--var", "command="+filepath.Join(bin, "faulty"), "--var", first)
}

// try runs one rollout with a fault, and says whether the lane can go on. It never fails the test: what went wrong is in
// the result.
func (l *lane) try(f fault) (tr *trial, ok bool) {
	tr = &trial{Fault: f.name}
	l.trials = append(l.trials, tr)
	err := l.roll(f, tr)
	if err == nil {
		return tr, true
	}
	tr.Failed = err.Error()
	l.t.Logf("%s, %s: %v", tr.Fault, tr.Release, err)
	return tr, l.clear()
}

// clear takes back what a rollout that went wrong has left under way.
func (l *lane) clear() bool {
	over := func() bool {
		_, active, err := l.consul.Active(l.t.Context(), l.model)
		return err == nil && !active
	}
	if over() {
		return true
	}
	if p, err := l.deployer(l.model+".log", "abort", l.model); err == nil {
		_ = p.within(backLimit) // whether it is over shows in the record
	}
	return over()
}

func (l *lane) roll(f fault, tr *trial) error {
	began := time.Now()
	p, err := l.ship()
	if err != nil {
		return err
	}
	rec, err := l.await(placeLimit, p, func(r rollout.Record) bool {
		return r.Created.After(began) && (r.Phase == rollout.Baking || r.Phase.Terminal())
	})
	if err == nil {
		tr.Release = rec.Release
		err = l.strike(f, tr)
	}
	var exit *exec.ExitError
	if err2 := p.within(backLimit); !errors.As(err2, &exit) || exit.ExitCode() != 3 {
		err = errors.Join(err, errors.New("the deployer did not end with exit code 3"), err2)
	}
	tr.seen, tr.Last = l.witness.end(tr.Release)
	last, _, err2 := l.consul.Active(l.t.Context(), l.model)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	tr.End, tr.Reason, tr.Decided = last.Phase, last.Reason, decision(last.Record)
	tr.Needed = l.witness.until(tr.Decided)
	tr.Shown = l.shown.first(l.model, traffic.ServedEpoch(last.Epoch, nil))
	if tr.Decided.IsZero() || tr.Shown.IsZero() || tr.Last.IsZero() {
		return fmt.Errorf("decided at %s, shown at %s, last answer at %s: one is missing", tr.Decided, tr.Shown, tr.Last)
	}
	if tr.Decided.Before(tr.Injected) {
		return fmt.Errorf("taken back before the fault: %s", tr.Reason)
	}
	return nil
}

// strike injects the fault at some moment of the step.
func (l *lane) strike(f fault, tr *trial) error {
	time.Sleep(time.Second/2 + rand.N(3*time.Second/2)) // the time itself is meant
	instances, err := l.consul.Instances(l.t.Context(), l.model)
	if err != nil {
		return err
	}
	var addrs []string
	for _, in := range instances {
		if in.Release == tr.Release {
			addrs = append(addrs, in.Addr)
		}
	}
	l.witness.expect(f)
	tr.Injected, err = f.inject(l.t.Context(), addrs)
	return err
}

// await waits until the newest rollout of the model is as wanted, or its deployer has ended.
func (l *lane) await(limit time.Duration, p *program, ok func(rollout.Record) bool) (rollout.Record, error) {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		rec, _, err := l.consul.Active(l.t.Context(), l.model)
		if err == nil && ok(rec.Record) {
			return rec.Record, nil
		}
		select {
		case <-l.changed:
		case <-p.done:
			return rec.Record, errors.New("the deployer ended before the canary had its share")
		case <-timeout.C:
			return rec.Record, errors.Join(fmt.Errorf("waited %s; the rollout is in phase %s: %s", limit, rec.Phase, rec.Reason), err)
		}
	}
}

// decision is when a rollout began to go back.
func decision(rec rollout.Record) time.Time {
	for _, e := range rec.Events {
		if e.Phase == rollout.Aborting {
			return e.At
		}
	}
	return time.Time{}
}
