package e2e

import (
	"math"
	"os/exec"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/test/load"
)

// settled is how long after an epoch is shown the last old worker of nginx may still answer by the old weights.
const settled = time.Second

// shares watches the rollout that was begun after a time, and returns what was answered at each of its steps.
func (s *system) shares(l *load.Load, began time.Time, weights []int, done <-chan struct{}) map[int]load.Counts {
	out := map[int]load.Counts{}
	for i, w := range weights {
		s.await(time.Minute, "step to bake", func(r rollout.Record) bool {
			return r.Created.After(began) && (r.Step > i || r.Phase.Terminal() || r.Phase == rollout.Baking && r.Step == i)
		})
		time.Sleep(settled) // the time itself is meant
		before := l.Counts()
		s.await(time.Minute, "step to end", func(r rollout.Record) bool {
			return r.Step != i || r.Phase != rollout.Baking
		})
		out[w] = l.Counts().Sub(before)
	}
	<-done
	return out
}

// within checks a share against the binomial 99.9 % bounds.
func within(t *testing.T, c load.Counts, release string, percent int) {
	t.Helper()
	const z = 3.2905
	n, p := float64(c.Answered()), float64(percent)/100
	half := z*math.Sqrt(p*(1-p)/n) + 0.5/n
	got := c.Share(release)
	t.Logf("weight %3d %%: canary answered %.2f %% of %d", percent, 100*got, c.Answered())
	if n < 500 || math.Abs(got-p) > half {
		t.Errorf("weight %d %%: canary answered %.2f %% of %.0f requests, outside ±%.2f points", percent, 100*got, n, 100*half)
	}
}

// A whole life under load: canary, promote, revert, blue-green; no request is lost, and the shares are right.
func TestNoRequestIsLostFromFirstReleaseToBlueGreen(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()

	weights := []int{10, 50, 100}
	began := time.Now()
	deploy := s.background(ship("v1.1.0", quick...)...)
	done := make(chan struct{})
	go func() { _ = deploy.Wait(); close(done) }()
	shares := s.shares(l, began, weights, done)
	if code := deploy.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("canary: exit code %d", code)
	}
	second := s.releaseOf("v1.1.0")
	for _, w := range weights {
		within(t, shares[w], second, w)
	}
	s.serves(l, second)

	s.must("revert", model)
	s.serves(l, first)

	s.must(ship("v1.1.0", append(quick, "--strategy", "blue-green")...)...)
	s.serves(l, second)

	noLoss(t, l.Stop())
	s.stable(second)
	history := s.must("history", model)
	t.Log(history)
}

// serves checks that only one release answers now.
func (s *system) serves(l *load.Load, release string) {
	s.t.Helper()
	time.Sleep(settled) // the time itself is meant
	before := l.Counts()
	s.until(20*time.Second, "500 answers", func() bool { return l.Counts().Sub(before).Answered() >= 500 })
	if c := l.Counts().Sub(before); c.Share(release) != 1 {
		s.t.Errorf("answers %v, want all from %s", c.ByRelease, release)
	}
}

// stable checks that Consul and Nomad agree that a release is the one, with nothing left of a rollout.
func (s *system) stable(release string) {
	s.t.Helper()
	keys, err := s.consul.Traffic(s.t.Context(), model)
	if err != nil || keys.Stable == nil || keys.Stable.Release != release || keys.Canary != nil {
		s.t.Errorf("traffic keys %+v (%v), want stable %s and no canary", keys, err, release)
	}
	s.until(20*time.Second, "the job to be on "+release, func() bool {
		v, err := s.nomad.Look(s.t.Context(), model, "", release)
		return err == nil && v.State.Release == release && !v.State.Current.Active() && v.Stable.Running == 2
	})
}

// An instance that is killed at 50 % takes the canary back at once, and no client sees an error.
func TestKilledCanaryInstanceIsTakenBack(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	deploy := s.background(ship("v1.1.0", "--steps", "50,100", "--bake", "20s")...)
	s.await(30*time.Second, "50 %", in(rollout.Baking, 0))
	second := s.releaseOf("v1.1.0")
	time.Sleep(settled) // the time itself is meant
	killed := time.Now()
	kill(t, s.pids(second)[0])
	if err := deploy.Wait(); deploy.ProcessState.ExitCode() != 3 {
		t.Errorf("deploy: %v, want exit code 3", err)
	}
	s.serves(l, first)
	back := l.Last(second).Sub(killed)
	t.Logf("kill → last answer of the canary: %s", back.Round(time.Millisecond))
	if back > 2*time.Second {
		t.Errorf("the canary answered for %s after the kill, want at most 2 s", back)
	}
	noLoss(t, l.Stop())
	s.stable(first)
	rec, _, err := s.consul.Active(t.Context(), model)
	if err != nil || rec.Phase != rollout.RolledBack || rec.Reason == "" {
		t.Errorf("record: phase %s, reason %q (%v), want RolledBack and why", rec.Phase, rec.Reason, err)
	}
	t.Logf("reason: %s", rec.Reason)
}

// A version that turns unhealthy under its first requests is taken back by itself.
func TestUnhealthyCanaryIsTakenBack(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	out, code := s.deployer(ship("v1.2.0", "--bake", "30s", "--var", "command="+bin+"/faulty",
		"--var", `args=["-fault-after=200","-fault-kind=unhealthy"]`)...)
	if code != 3 {
		t.Errorf("exit code %d, want 3; it said %s", code, out)
	}
	s.serves(l, first)
	noLoss(t, l.Stop())
	s.stable(first)
}

// Killed at 50 % and not replaced, the deployer leaves the traffic to the dead-man's switch.
func TestDeadMansSwitch(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	s.killedAt50(t)
	killed := time.Now()
	s.until(30*time.Second, "the canary key to go", func() bool {
		k, err := s.consul.Traffic(t.Context(), model)
		return err == nil && k.Canary == nil
	})
	s.serves(l, first)
	t.Logf("kill → last answer of the canary: %s", l.Last(s.releaseOf("v1.1.0")).Sub(killed).Round(time.Millisecond))
	if took := l.Last(s.releaseOf("v1.1.0")).Sub(killed); took > 30*time.Second {
		t.Errorf("the canary answered for %s after the kill, want at most 30 s", took)
	}
	noLoss(t, l.Stop())
}

// A second deployer takes the rollout over at the same step, bakes it anew, and ends it.
func TestTakeover(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	s.killedAt50(t)
	killed := time.Now()
	second := s.background(ship("v1.1.0", quick...)...)
	r := s.await(time.Minute, "50 % again", func(r rollout.Record) bool {
		return r.Phase == rollout.Baking && r.Since.After(killed)
	})
	if r.Step != 1 || r.Weight != 50 {
		t.Errorf("the second deployer bakes step %d at %d %%, want step 1 at 50 %%", r.Step, r.Weight)
	}
	if left := r.Deadline.Sub(r.Since); left < 3*time.Second {
		t.Errorf("the second deployer bakes for %s, want the whole 3 s", left)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the second deployer: %v", err)
	}
	s.await(time.Second, "Done", func(r rollout.Record) bool { return r.Phase == rollout.Done })
	noLoss(t, l.Stop())
	s.stable(s.releaseOf("v1.1.0"))
}

// killedAt50 runs a rollout up to 50 % and kills its deployer.
func (s *system) killedAt50(t *testing.T) *exec.Cmd {
	t.Helper()
	deploy := s.background(ship("v1.1.0", quick...)...)
	s.await(time.Minute, "50 %", in(rollout.Baking, 1))
	kill(t, deploy.Process.Pid)
	_ = deploy.Wait() // killed
	return deploy
}
