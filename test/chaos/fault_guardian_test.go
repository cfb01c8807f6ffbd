//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

func (r *round) killGuardian() error {
	if r.over() {
		return errTooLate
	}
	return kill(r.deploy.Process.Pid)
}

// killDaemon kills two guardians, one after the other.
func (r *round) killDaemon() error {
	if err := r.killGuardian(); err != nil {
		return err
	}
	if err := r.takenOver(); err != nil {
		return err
	}
	if err := kill(r.daemon.Process.Pid); err != nil {
		return err
	}
	<-r.daemon.done
	r.startDaemon()
	return nil
}

// takenOver waits until somebody else than the deployer that began the rollout holds the lease, or it is over.
func (r *round) takenOver() error {
	return wait(time.Minute, func() error {
		now, err := r.view()
		if err == nil && !r.over() && (now.holder == "" || now.holder == r.holder) {
			err = fmt.Errorf("the lease is held by %q", now.holder)
		}
		return err
	})
}

// cutDeployer cuts the guardian from Consul until another has taken over. Then it can go on where it was, and must not.
func (r *round) cutDeployer() error {
	if r.over() {
		return errTooLate
	}
	if err := r.net.Forget(deployer, consulHosts...); err != nil {
		return err
	}
	return errors.Join(r.takenOver(), r.net.Heal(deployer))
}

func (r *round) cutNomad() error {
	if r.over() {
		return errTooLate
	}
	err := r.net.Forget(deployer, nomadHost)
	pause(10 * time.Second)
	return errors.Join(err, r.net.Heal(deployer))
}

func (r *round) clockForward() error { return r.stepClock(time.Hour) }
func (r *round) clockBack() error    { return r.stepClock(-time.Hour) }

func (r *round) stepClock(by time.Duration) error {
	return r.step([]string{deployBin, ingressBin}[r.event.Pick%2], by)
}

// clockBehind gives the deployer another time than the daemon and the deployers of the rollouts before.
func (r *round) clockBehind() error {
	return r.step(deployBin, []time.Duration{-time.Hour, time.Hour}[r.event.Pick%2])
}

// clockTakeover has the daemon go on by a record whose times are an hour off.
func (r *round) clockTakeover() error {
	if err := r.step(deployBin, []time.Duration{time.Hour, -time.Hour}[r.event.Pick%2]); err != nil {
		return err
	}
	pause(500 * time.Millisecond) // it looks several times
	return r.killGuardian()
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
		if free, err = r.view(); err == nil && free.holder != "" {
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
		case now.holder != "" || r.over():
			return nil
		case now.written != free.written:
			r.result.Unfenced = fmt.Sprintf("a guardian without the lease wrote: %s became %s", free.written, now.written)
			return nil
		}
		return errors.New("nobody took the rollout over")
	})
}

// stopGuardianLong stops the guardian for a minute, in which the daemon takes the rollout to its end. What is written
// when that is so and the guardian goes on, it wrote without the right to.
func (r *round) stopGuardianLong() error {
	pid := r.deploy.Process.Pid
	if r.over() {
		return errTooLate
	}
	if err := signal(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	pause(time.Minute)
	if err := wait(time.Minute, r.released); err != nil {
		return errors.Join(err, signal(pid, syscall.SIGCONT))
	}
	before, err := r.view()
	if err := errors.Join(err, signal(pid, syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-r.deploy.done:
	case <-time.After(30 * time.Second):
		return errors.New("the guardian goes on, but does not end within 30 s")
	}
	after, err := r.view()
	if err == nil && after.written != before.written {
		r.result.Unfenced = fmt.Sprintf("a guardian whose rollout was over wrote: %s became %s", before.written, after.written)
	}
	return err
}

// released returns an error unless the rollout is over and nobody holds the lease.
func (r *round) released() error {
	now, err := r.view()
	if err == nil && (now.holder != "" || !r.over()) {
		err = fmt.Errorf("the daemon has not ended the rollout: it is at %s, the lease is held by %q", r.record().Phase, now.holder)
	}
	return err
}

// view is what Consul and Nomad say of the model at one moment.
type view struct {
	holder  string // who has the lease
	written string // the versions of all that a guardian writes
}

// view reads all keys at once, and then the job.
func (r *round) view() (view, error) {
	pairs, _, err := r.kv.List(traffic.Root, (&api.QueryOptions{RequireConsistent: true}).WithContext(r.t.Context()))
	if err != nil {
		return view{}, fmt.Errorf("read the keys: %w", err)
	}
	var v view
	for _, p := range pairs {
		switch {
		case p.Key == traffic.LeaseKey(model) && p.Session != "":
			v.holder = string(p.Value)
		case strings.HasPrefix(p.Key, traffic.TrafficPrefix+model+"/"), strings.HasPrefix(p.Key, traffic.RolloutsPrefix+model+"/"):
			v.written += fmt.Sprintf("%s@%d ", p.Key, p.ModifyIndex)
		}
	}
	job, _, err := r.agents.API.Jobs().Info(model, nil)
	if err != nil {
		return v, fmt.Errorf("read the job: %w", err)
	}
	v.written += fmt.Sprintf("job@%d", *job.JobModifyIndex)
	return v, nil
}
