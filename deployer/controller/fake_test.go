package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/rollout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	oldRelease = "v1-aaaaaaaa"
	newRelease = "v2-bbbbbbbb"
)

// fake is a World in which everything works at once, unless a test says otherwise.
type fake struct {
	sync.Mutex // a test holds it while it changes something under a running guardian
	t          *testing.T
	stored     rollout.Record
	obs        rollout.Observation
	lost       chan struct{}
	wake       func()

	looks, saves int
	acts         []string
	lookErr      func() error
	saveErr      func() error
	actErr       func(rollout.Action) error
	onLook       func()
	stray        bool // the stored record is not the one that the guardian read
}

func newFake(t *testing.T) *fake {
	spec, err := rollout.NewSpec(rollout.StrategyCanary, nil, rollout.Duration(5*time.Second),
		rollout.Duration(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	w := &fake{t: t, lost: make(chan struct{}), obs: rollout.Observation{
		Traffic: rollout.Traffic{Stable: oldRelease, Epoch: 1, Served: map[string]string{"a": "1/-"}},
		Stable:  rollout.Side{Passing: 1, Running: 1},
	}}
	w.stored = rollout.Record{
		ID: "r1", Model: "iris", Release: newRelease, Attempt: "a1", Spec: spec, Phase: rollout.Pending, Since: time.Now(),
	}
	return w
}

func (w *fake) Look(ctx context.Context, rec rollout.Record, since time.Time) (rollout.Observation, error) {
	if !since.IsZero() {
		return w.again()
	}
	if w.onLook != nil {
		w.onLook()
	}
	w.Lock()
	defer w.Unlock()
	w.looks++
	if w.stray {
		return rollout.Observation{}, fmt.Errorf("look: %w", ErrConflict)
	}
	if err := ctx.Err(); err != nil {
		return rollout.Observation{}, err
	}
	if w.lookErr != nil {
		if err := w.lookErr(); err != nil {
			return rollout.Observation{}, err
		}
	}
	if rec.Phase != w.stored.Phase || rec.Epoch != w.stored.Epoch {
		w.t.Errorf("looks with a record in phase %s, stored is %s", rec.Phase, w.stored.Phase)
	}
	return w.obs, nil
}

// again is a look of which nothing is old: each is.
func (w *fake) again() (rollout.Observation, error) {
	w.Lock()
	defer w.Unlock()
	return w.obs, nil
}

func (w *fake) Save(_ context.Context, rec rollout.Record) error {
	w.Lock()
	defer w.Unlock()
	w.saves++
	if w.saveErr != nil {
		if err := w.saveErr(); err != nil {
			return err
		}
	}
	w.stored = rec
	return nil
}

func (w *fake) Reload(context.Context) (rollout.Record, error) {
	w.Lock()
	defer w.Unlock()
	w.stray = false
	return w.stored, nil
}

func (w *fake) Act(ctx context.Context, rec rollout.Record, a rollout.Action) error {
	w.Lock()
	defer w.Unlock()
	if ctx.Err() != nil {
		w.t.Error("an act after the end of the context")
	}
	if rec.Phase != w.stored.Phase || rec.Epoch != w.stored.Epoch {
		w.t.Errorf("%#v before the record is stored", a)
	}
	w.acts = append(w.acts, fmt.Sprintf("%T", a)[len("rollout."):])
	if w.actErr != nil {
		if err := w.actErr(a); err != nil {
			return err
		}
	}
	w.carryOut(a)
	return nil
}

func (w *fake) carryOut(a rollout.Action) {
	t, n := &w.obs.Traffic, &w.obs.Nomad
	switch a := a.(type) {
	case rollout.Register:
		n.Exists, n.Release, n.Attempt, n.Version = true, newRelease, "a1", 1
		n.Trial = rollout.Deployment{ID: "d1", Version: 1, Attempt: "a1", Status: "running", Canaries: 1, Healthy: 1}
		n.Current, w.obs.Canary = n.Trial, rollout.Side{Passing: 1, Running: 1}
	case rollout.SetCanary:
		t.Canary = &rollout.CanaryKey{Release: a.Release, Weight: a.Weight, Epoch: a.Epoch, Mine: true}
	case rollout.SetStable:
		t.Stable, t.Previous, t.Epoch, t.Canary = a.Release, a.Previous, a.Epoch, nil
	case rollout.Promote:
		n.Trial.Promoted, n.Trial.Status = true, "successful"
	case rollout.FailDeployment:
		n.Trial.Status, n.Release, n.Attempt, n.Version = "failed", oldRelease, "a0", 2
		n.Current = rollout.Deployment{ID: "d2", Version: 2, Release: oldRelease, Status: "successful"}
	case rollout.Collect:
		w.obs.Evidence = &rollout.Evidence{}
	case rollout.AdoptStable, rollout.RestoreJob, rollout.StopJob, rollout.RunHook:
	}
	w.serve()
}

func (w *fake) serve() {
	t := &w.obs.Traffic
	served := fmt.Sprintf("%d/-", t.Epoch)
	if t.Canary != nil {
		served = fmt.Sprintf("%d/%d", t.Epoch, t.Canary.Epoch)
	}
	t.Served = map[string]string{"a": served}
}

func (w *fake) Watch(ctx context.Context, wake func()) {
	w.Lock()
	w.wake = wake
	w.Unlock()
	<-ctx.Done()
}

func (w *fake) Lost() <-chan struct{} { return w.lost }

func (w *fake) controller() *Controller {
	return &Controller{World: w, Log: slog.New(slog.DiscardHandler)}
}

// drive runs Drive aside; the channel tells its end.
func (w *fake) drive(ctx context.Context, takeover bool) (<-chan rollout.Record, <-chan error) {
	recs, errs := make(chan rollout.Record, 1), make(chan error, 1)
	rec := w.stored
	go func() {
		rec, err := w.controller().Drive(ctx, rec, takeover)
		recs <- rec
		errs <- err
	}()
	return recs, errs
}

// change changes the world under a running guardian.
func (w *fake) change(f func()) {
	w.Lock()
	defer w.Unlock()
	f()
}

func (w *fake) phase() rollout.Phase {
	w.Lock()
	defer w.Unlock()
	return w.stored.Phase
}

func (w *fake) looked() int {
	w.Lock()
	defer w.Unlock()
	return w.looks
}

func (w *fake) did(what string) bool { return slices.Contains(w.acts, what) }
