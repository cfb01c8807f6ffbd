//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/test/load"
)

const (
	endLimit  = 2 * time.Minute  // for a rollout, with a takeover in it
	holdLimit = 15 * time.Second // before the operator of this test decides
)

// round is one rollout with one fault in it.
type round struct {
	*system
	event  event
	stable string // the release that serves before it
	began  time.Time
	before load.Counts
	deploy *program
	cut    [2]time.Time // from when to when the fault broke connections of clients

	result result
}

// run carries the round out. Its error says which promise was broken.
func (r *round) run() error {
	r.began, r.before = time.Now(), r.load.Counts()
	r.result = result{event: r.event}
	r.deploy = r.background(fmt.Sprintf("deploy-%d.log", r.event.Number), r.arguments()...)
	defer r.clean()
	if err := r.reach(r.event.At); err != nil {
		return err
	}
	time.Sleep(r.event.Delay) // drawn from the seed
	if err := r.hit(); err != nil {
		return fmt.Errorf("%s: %w", faults[r.event.Fault].what, err)
	}
	if err := r.end(); err != nil {
		return err
	}
	return r.promises()
}

// arguments are those of the deploy. Each round has a version of its own, so that its processes are known from all
// others'.
func (r *round) arguments() []string {
	file, command := "v1.1.0", "inference"
	if r.event.Number%2 == 0 {
		file = "v1.0.0"
	}
	var fault []string
	if r.event.Canary != "good" {
		file, command = "v1.2.0", "faulty"
		fault = []string{"--var", fmt.Sprintf(`args=["-fault-after=200","-fault-kind=%s"]`, r.event.Canary)}
	}
	args := ship(file, fmt.Sprintf("v2.%d.0", r.event.Number), filepath.Join(r.bin, command))
	return append(append(args, "-v", "--steps", "20,100", "--bake", "2s", "--watch", "2s"), fault...)
}

func ship(file, version, command string) []string {
	path, err := filepath.Abs("../testdata/iris-" + file + ".pkl")
	if err != nil {
		panic(err)
	}
	return []string{"deploy", model, path, "--version", version, "--var", "command=" + command}
}

// record is this round's; zero before there is one, or while Consul does not answer.
func (r *round) record() rollout.Record {
	s, _, err := r.consul.Active(r.t.Context(), model)
	if err != nil || s.Created.Before(r.began) {
		return rollout.Record{}
	}
	return s.Record
}

func (r *round) over() bool { return r.record().Phase.Terminal() }

// rank orders the points of a rollout's way; all ends come last.
func rank(phase rollout.Phase, step int) int {
	switch phase {
	case "":
		return -1
	case rollout.Pending:
		return 0
	case rollout.Placing:
		return 1
	case rollout.Verifying:
		return 2
	case rollout.Shifting, rollout.Settling:
		return 10*step + 3
	case rollout.Baking:
		return 10*step + 4
	case rollout.Judging:
		return 10*step + 5
	case rollout.Watching:
		return 100
	case rollout.Promoting:
		return 101
	case rollout.Held, rollout.NeedsHuman, rollout.Aborting, rollout.Done, rollout.RolledBack:
	}
	return 1000
}

// reach waits until the rollout is at a point or past it.
func (r *round) reach(p point) error {
	err := wait(time.Minute, func() error {
		rec := r.record()
		if rank(rec.Phase, rec.Step) < rank(p.Phase, p.Step) {
			return fmt.Errorf("it is at %q", rec.Phase)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait a minute for the rollout to be at %s: %w", p, err)
	}
	return nil
}

// hit injects the fault and notes where it met the rollout.
func (r *round) hit() error {
	rec := r.record()
	r.result.Met = point{rec.Phase, rec.Step}
	from := time.Now()
	err := faults[r.event.Fault].inject(r)
	if errors.Is(err, errTooLate) {
		return nil
	}
	r.result.Injected = true
	if faults[r.event.Fault].cuts {
		r.cut = [2]time.Time{from, time.Now().Add(time.Second)}
	}
	return err
}

// end waits for the rollout's end. Where it waits for an operator, this test is one.
func (r *round) end() error {
	err := wait(endLimit, func() error {
		rec := r.record()
		waits := rec.Phase == rollout.Held || rec.Phase == rollout.NeedsHuman
		if waits && !r.result.Operator && time.Since(rec.Since) > holdLimit {
			r.result.Operator = true
			r.background("revert.log", "revert", model, "--why", "chaos: it waits in "+string(rec.Phase))
		}
		if !rec.Phase.Terminal() {
			return fmt.Errorf("it is at %s: %s", point{rec.Phase, rec.Step}, rec.Reason)
		}
		r.result.End, r.result.Reason, r.result.Took = rec.Phase, rec.Reason, time.Since(r.began)
		return nil
	})
	if err != nil {
		return fmt.Errorf("the rollout did not end within %s: %w", endLimit, err)
	}
	select {
	case <-r.deploy.done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the rollout is over, but its deployer has not ended within 30 s")
	}
}

// clean takes away what a fault has left.
func (r *round) clean() {
	for _, key := range garbageKeys {
		if _, err := r.kv.Delete(key, nil); err != nil {
			r.t.Errorf("delete %s: %v", key, err)
		}
	}
}

// stopGuardian stops the guardian until Consul has ended its session, and lets it go on while nobody can have the lease:
// what is then written, it wrote without the right to.
func (r *round) stopGuardian() error {
	pid := r.deploy.Process.Pid
	if r.over() {
		return errTooLate
	}
	if err := signal(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	var free view
	err := wait(time.Minute, func() error {
		var err error
		if free, err = r.view(); err == nil && free.held {
			err = errors.New("it still holds the lease")
		}
		return err
	})
	if err := errors.Join(err, signal(pid, syscall.SIGCONT)); err != nil {
		return err
	}
	return wait(time.Minute, func() error {
		now, err := r.view()
		switch {
		case err != nil:
			return err
		case now.held || r.over():
			return nil
		case now.written != free.written:
			r.result.Unfenced = fmt.Sprintf("a guardian without the lease wrote: %s became %s", free.written, now.written)
			return nil
		}
		return errors.New("nobody took the rollout over")
	})
}

// view is what Consul says of the model at one moment.
type view struct {
	held    bool   // somebody has the lease
	written string // the versions of all keys that a guardian writes
}

// view reads all keys at once.
func (r *round) view() (view, error) {
	pairs, _, err := r.kv.List(traffic.Root, (&api.QueryOptions{RequireConsistent: true}).WithContext(r.t.Context()))
	if err != nil {
		return view{}, fmt.Errorf("read the keys: %w", err)
	}
	var v view
	for _, p := range pairs {
		switch {
		case p.Key == traffic.LeaseKey(model):
			v.held = p.Session != ""
		case strings.HasPrefix(p.Key, traffic.TrafficPrefix+model+"/"), strings.HasPrefix(p.Key, traffic.RolloutsPrefix+model+"/"):
			v.written += fmt.Sprintf("%s@%d ", p.Key, p.ModifyIndex)
		}
	}
	return v, nil
}
