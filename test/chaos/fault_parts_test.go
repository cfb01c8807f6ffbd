//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/test/hosts"
)

func (r *round) killOne(release string) error {
	pids := r.tasks(release)
	if len(pids) == 0 {
		return errTooLate
	}
	return kill(pids[r.event.Pick%len(pids)])
}

func (r *round) killStable() error { return r.killOne(r.stable) }
func (r *round) killCanary() error { return r.killOne(r.record().Release) }

func (r *round) killCanaries() error {
	pids := r.tasks(r.record().Release)
	if len(pids) == 0 {
		return errTooLate
	}
	for _, pid := range pids {
		if err := kill(pid); err != nil && !errors.Is(err, errTooLate) {
			return err
		}
	}
	return nil
}

func (r *round) killTemplate() error { return kill(r.part("consul-template.hcl")) }
func (r *round) killApplier() error  { return kill(r.part("--external-nginx")) }

func (r *round) killWorker() error {
	master := r.part("nginx: master process")
	workers := processes(func(p process) bool {
		return p.parent == master && strings.HasPrefix(p.line, "nginx: worker process") &&
			!strings.Contains(p.line, "shutting down")
	})
	if len(workers) == 0 {
		return errTooLate
	}
	return kill(workers[r.event.Pick%len(workers)].pid)
}

// stopMaster ends nginx, and returns when the one that Nomad starts in its place listens.
func (r *round) stopMaster() error {
	old := r.part("nginx: master process")
	if err := signal(old, syscall.SIGTERM); err != nil {
		return err
	}
	return wait(time.Minute, func() error {
		if now := r.part("nginx: master process"); now == 0 || now == old {
			return errors.New("nginx has not come back")
		}
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(ingressURL, "http://"), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (r *round) killNode() error  { return r.killAgent(node) }
func (r *round) killNomad() error { return r.killAgent(nomadHost) }

// killAgent kills an agent of Nomad's, leaves its host without one for a second, and starts it again on its folder.
func (r *round) killAgent(h hosts.Host) error {
	agent := r.agents.Agent(h)
	if err := kill(agent.PID()); err != nil {
		return err
	}
	<-agent.Done()
	pause(time.Second)
	return r.agents.Start(h)
}

// killLeader leaves Consul with two servers of three until the rollout is over.
func (r *round) killLeader() error {
	leader, err := r.servers.Leader(r.t.Context())
	if err != nil {
		return err
	}
	return kill(r.servers.Server(leader).PID())
}

func (r *round) stopConsul() error {
	var errs []error
	for _, h := range consulHosts {
		errs = append(errs, signal(r.servers.Server(h).PID(), syscall.SIGSTOP))
	}
	pause(5 * time.Second)
	for _, h := range consulHosts {
		errs = append(errs, signal(r.servers.Server(h).PID(), syscall.SIGCONT))
	}
	return errors.Join(errs...)
}

// cutIngress lasts longer than the ingress sends requests to a canary that it hears nothing of.
func (r *round) cutIngress() error {
	err := r.net.Forget(ingress, consulHosts...)
	pause(traffic.StaleAfter + 5*time.Second)
	return errors.Join(err, r.net.Heal(ingress))
}

// fillDisk leaves the ingress without a free byte, and then gives it its disk back.
func (r *round) fillDisk() error {
	ballast := filepath.Join(r.disk(), "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	block := make([]byte, 1<<20)
	for size := len(block); size > 0; {
		if _, err = f.Write(block[:size]); err != nil {
			size /= 2
		}
	}
	full := errors.Is(err, syscall.ENOSPC)
	pause(8 * time.Second)
	if err := errors.Join(f.Close(), os.Remove(ballast)); err != nil {
		return fmt.Errorf("free the disk: %w", err)
	}
	if !full {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

// garbageKeys are those of a model that there is not.
var garbageKeys = []string{
	traffic.StableKey("other"), traffic.CanaryKey("other"), traffic.RolloutKey("other", "20260101T000000-garbage"),
}

const garbage = "{\x00]garbage"

// writeGarbage leaves what is no document under keys of another model, until the rollout is over.
func (r *round) writeGarbage() error {
	for _, key := range garbageKeys {
		if _, err := r.kv.Put(&api.KVPair{Key: key, Value: []byte(garbage)}, nil); err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
	}
	return nil
}

// spoilCanaryKey writes over the canary key. It still goes with the guardian's session.
func (r *round) spoilCanaryKey() error {
	pair, err := r.canaryKey()
	if err != nil {
		return err
	}
	pair.Value = []byte(garbage)
	if _, err := r.kv.Put(pair, nil); err != nil {
		return fmt.Errorf("write %s: %w", pair.Key, err)
	}
	return nil
}

func (r *round) deleteCanaryKey() error {
	pair, err := r.canaryKey()
	if err != nil {
		return err
	}
	if _, err := r.kv.Delete(pair.Key, nil); err != nil {
		return fmt.Errorf("delete %s: %w", pair.Key, err)
	}
	return nil
}

func (r *round) canaryKey() (*api.KVPair, error) {
	key := traffic.CanaryKey(model)
	pair, _, err := r.kv.Get(key, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if pair == nil {
		return nil, errTooLate
	}
	return pair, nil
}

// clean takes away what a fault has left.
func (r *round) clean() error {
	for _, key := range garbageKeys {
		if _, err := r.kv.Delete(key, nil); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}
