package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

func TestDriveToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		began := time.Now()
		var phases []rollout.Phase
		c := w.controller()
		c.Changed = func(r rollout.Record) { phases = append(phases, r.Phase) }
		rec, err := c.Drive(t.Context(), w.stored, false)
		if err != nil || rec.Phase != rollout.Done {
			t.Fatalf("ended in %s (%s), %v", rec.Phase, rec.Reason, err)
		}
		// Three bakes and the watch, 5 s each; nothing else takes time.
		if took := time.Since(began); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("took %s, want 20s", took)
		}
		want := []string{"Register", "SetCanary", "SetCanary", "SetCanary", "SetStable", "Promote"}
		if !slices.Equal(w.acts, want) {
			t.Errorf("acts %v, want %v", w.acts, want)
		}
		if w.looks > 80 {
			t.Errorf("%d looks in 20 s", w.looks)
		}
		if len(phases) == 0 || phases[len(phases)-1] != rollout.Done || w.stored.Phase != rollout.Done {
			t.Errorf("told of %v, stored %s", phases, w.stored.Phase)
		}
	})
}

// inPhase drives until the stored record is in a phase.
func inPhase(t *testing.T, w *fake, p rollout.Phase) {
	t.Helper()
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if w.phase() == p {
			return
		}
	}
	t.Fatalf("in phase %s, want %s", w.phase(), p)
}

func TestAnEventWakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		recs, errs := w.drive(t.Context(), false)
		inPhase(t, w, rollout.Baking)
		time.Sleep(50 * time.Millisecond)
		w.change(func() { w.obs.Canary = rollout.Side{Critical: 1, Running: 1} })
		began := time.Now()
		w.wake()
		rec, err := <-recs, <-errs
		if err != nil || rec.Phase != rollout.RolledBack {
			t.Fatalf("ended in %s, %v", rec.Phase, err)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("took %s after the event", took)
		}
	})
}

func TestWithoutAnEventItLooksEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		recs, errs := w.drive(t.Context(), false)
		inPhase(t, w, rollout.Baking)
		w.change(func() { w.obs.Canary = rollout.Side{Critical: 1, Running: 1} })
		began := time.Now()
		<-recs
		if err := <-errs; err != nil || time.Since(began) > time.Second {
			t.Errorf("took %s, %v", time.Since(began), err)
		}
	})
}

// looksIn counts the looks of ten seconds.
func looksIn(w *fake) int {
	before := w.looked()
	time.Sleep(10 * time.Second)
	synctest.Wait()
	return w.looked() - before
}

func TestNoHotLoop(t *testing.T) {
	for name, tt := range map[string]struct {
		in   rollout.Phase
		do   func(*fake)
		most int // looks in 10 s
	}{
		"holds": {rollout.Baking, func(w *fake) {
			w.stored.Requests = []rollout.Request{{Verb: rollout.VerbWeights, Weight: 20}}
			w.stray = true
		}, 20},
		"a frozen bake":   {rollout.Baking, func(w *fake) { w.obs.Traffic.Served = map[string]string{"a": "1/1"} }, 15},
		"Nomad is down":   {rollout.Baking, func(w *fake) { w.obs.Nomad = rollout.Nomad{Down: "no answer"} }, 15},
		"looks fail":      {rollout.Baking, func(w *fake) { w.lookErr = func() error { return errors.New("no leader") } }, 51},
		"stores fail":     {rollout.Baking, func(w *fake) { w.saveErr = func() error { return errors.New("no leader") } }, 51},
		"acts fail":       {rollout.Placing, func(w *fake) { w.actErr = func(rollout.Action) error { return errors.New("no") } }, 15},
		"acts do nothing": {rollout.Watching, func(*fake) {}, 20},
		"not successful":  {rollout.Watching, func(w *fake) { w.obs.Nomad.Trial.Canaries = 0 }, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFake(t)
				if tt.in == rollout.Placing {
					tt.do(w)
				}
				if name == "acts do nothing" {
					w.actErr = func(a rollout.Action) error {
						if _, ok := a.(rollout.Promote); ok {
							return &doneNothing{}
						}
						return nil
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				recs, errs := w.drive(ctx, false)
				inPhase(t, w, tt.in)
				if tt.in == rollout.Baking {
					time.Sleep(4600 * time.Millisecond) // its deadline is near, and will be past
				}
				w.change(func() { tt.do(w) })
				if tt.in == rollout.Watching {
					time.Sleep(40 * time.Second) // the commit's deadline is past
				}
				if n := looksIn(w); n > tt.most {
					t.Errorf("%d looks in 10 s, want at most %d", n, tt.most)
				}
				cancel()
				<-recs
				if err := <-errs; !errors.Is(err, context.Canceled) {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

type doneNothing struct{}

func (*doneNothing) Error() string { return "answered, but nothing is done" }

func TestAnActWithoutEffectIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		inert := &inertWorld{fake: w}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c := Controller{World: inert, Log: w.controller().Log}
		_, err := c.Drive(ctx, w.stored, false)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("ended with %v", err)
		}
		if inert.did > 12 {
			t.Errorf("%d acts in 10 s", inert.did)
		}
	})
}

// inertWorld says yes to everything and does nothing.
type inertWorld struct {
	*fake
	did int
}

func (w *inertWorld) Act(context.Context, rollout.Record, rollout.Action) error {
	w.did++
	return nil
}

func TestAConflictIsReadAnew(t *testing.T) {
	for _, where := range []string{"look", "save"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFake(t)
				recs, errs := w.drive(t.Context(), false)
				inPhase(t, w, rollout.Baking)
				w.change(func() { w.conflict(where) })
				w.wake()
				rec, err := <-recs, <-errs
				if err != nil || rec.Phase != rollout.RolledBack || !strings.Contains(rec.Reason, "reverted by ann") {
					t.Errorf("ended in %s (%s), %v", rec.Phase, rec.Reason, err)
				}
			})
		})
	}
}

// conflict lets an operator's request come in between.
func (w *fake) conflict(where string) {
	w.stored.Requests = []rollout.Request{{Verb: rollout.VerbRevert, By: "ann"}}
	if where == "look" {
		w.stray = true
		return
	}
	w.obs.Traffic.Served = map[string]string{"a": "1/1"} // a reason to store
	once := ErrConflict
	w.saveErr = func() error {
		err := once
		once = nil
		return err
	}
}

// A bake does not count the time in which nobody could look, such as that of an election in Consul.
func TestABakeDoesNotCountWhatNobodySaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		var blind time.Time
		w.lookErr = func() error {
			if w.stored.Phase != rollout.Baking || w.stored.Step != 0 {
				return nil
			}
			if blind.IsZero() {
				blind = time.Now().Add(8 * time.Second)
			}
			if time.Now().Before(blind) {
				return errors.New("no cluster leader")
			}
			return nil
		}
		rec, err := w.controller().Drive(t.Context(), w.stored, false)
		if err != nil || rec.Phase != rollout.Done {
			t.Fatalf("phase %s: %v", rec.Phase, err)
		}
		var began, ended time.Time
		for _, e := range rec.Events {
			switch {
			case e.Phase == rollout.Baking && e.Step == 0 && began.IsZero():
				began = e.At
			case e.Phase == rollout.Judging && e.Step == 0 && ended.IsZero():
				ended = e.At
			}
		}
		if took := ended.Sub(began); took < 13*time.Second {
			t.Errorf("the first bake of 5 s ended after %s, of which nobody saw 8 s", took)
		}
	})
}

func TestTakeoverIsToldUntilItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		w.stored.Phase, w.stored.Stable, w.stored.Epoch, w.stored.Weight = rollout.Baking, oldRelease, 2, 10
		w.stored.Deadline = time.Now().Add(time.Second)
		w.carryOut(rollout.Register{})
		fails := 3
		w.saveErr = func() error {
			if fails--; fails >= 0 {
				return errors.New("no leader")
			}
			return nil
		}
		rec, err := w.controller().Drive(t.Context(), w.stored, true)
		if err != nil || rec.Phase != rollout.Done {
			t.Fatalf("ended in %s (%s), %v", rec.Phase, rec.Reason, err)
		}
		if rec.Epoch <= 2 || !w.did("SetCanary") {
			t.Errorf("epoch %d, acts %v, want the step taken up again", rec.Epoch, w.acts)
		}
	})
}

func TestLeaseLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		recs, errs := w.drive(t.Context(), false)
		inPhase(t, w, rollout.Baking)
		var acts, saves int
		w.change(func() {
			acts, saves = len(w.acts), w.saves
			w.obs.Canary = rollout.Side{Critical: 1}
		})
		began := time.Now()
		close(w.lost)
		<-recs
		if err := <-errs; !errors.Is(err, ErrLost) || time.Since(began) > 0 {
			t.Errorf("ended with %v after %s", err, time.Since(began))
		}
		if len(w.acts) != acts || w.saves != saves {
			t.Errorf("acts %v and %d stores after the lease was lost", w.acts[acts:], w.saves-saves)
		}
	})
}

func TestLeaseLostDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		w.onLook = func() {
			if w.stored.Phase == rollout.Shifting {
				close(w.lost)
				w.onLook = nil
				synctest.Wait()
			}
		}
		_, err := w.controller().Drive(t.Context(), w.stored, false)
		if !errors.Is(err, ErrLost) || w.did("SetCanary") {
			t.Errorf("ended with %v, acts %v", err, w.acts)
		}
	})
}

func TestAnActThatFindsTheLeaseLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		w.actErr = func(rollout.Action) error { return ErrLost }
		_, err := w.controller().Drive(t.Context(), w.stored, false)
		if !errors.Is(err, ErrLost) || len(w.acts) != 1 {
			t.Errorf("ended with %v after acts %v", err, w.acts)
		}
	})
}

func TestARefusedPromoteIsRecorded(t *testing.T) {
	for name, saveErr := range map[string]error{"stored": nil, "not stored at first": errors.New("no leader")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFake(t)
				w.actErr = func(a rollout.Action) error {
					if _, ok := a.(rollout.Promote); !ok {
						return nil
					}
					once := saveErr
					w.saveErr = func() error {
						err := once
						once = nil
						return err
					}
					return &RefusedError{Said: "0/1 healthy allocations"}
				}
				rec, err := w.controller().Drive(t.Context(), w.stored, false)
				if err != nil || rec.Phase != rollout.RolledBack || !strings.Contains(rec.Reason, "0/1 healthy allocations") {
					t.Errorf("ended in %s (%s), %v", rec.Phase, rec.Reason, err)
				}
				if w.obs.Traffic.Stable != oldRelease {
					t.Errorf("stable is %s", w.obs.Traffic.Stable)
				}
			})
		})
	}
}

func TestATransientFailureOfAnActIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFake(t)
		failed := map[string]bool{}
		w.actErr = func(a rollout.Action) error {
			if key := w.acts[len(w.acts)-1]; !failed[key] {
				failed[key] = true
				return errors.New("connection reset")
			}
			return nil
		}
		rec, err := w.controller().Drive(t.Context(), w.stored, false)
		if err != nil || rec.Phase != rollout.Done {
			t.Errorf("ended in %s (%s), %v", rec.Phase, rec.Reason, err)
		}
	})
}
