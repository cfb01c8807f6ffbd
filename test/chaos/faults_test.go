//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/traffic"
)

// fault is something that goes wrong in a rollout.
type fault struct {
	what   string  // for the report
	points []point // where it may come
	inject func(*round) error
	// cuts says that it breaks connections of clients, which are counted apart.
	cuts bool
	// embedded says that only the embedded agent has it: `nomad agent -dev` forgets everything with its death.
	embedded bool
}

// faults by name. It is filled by init, for the schedule refers to it.
var faults map[string]fault

func init() {
	faults = map[string]fault{
		"none":            {what: "nothing", points: everywhere, inject: func(*round) error { return nil }},
		"guardian-kill":   {what: "SIGKILL the guardian", points: everywhere, inject: (*round).killGuardian},
		"guardian-stop":   {what: "SIGSTOP the guardian until its lease is gone, then SIGCONT", points: trafficked, inject: (*round).stopGuardian},
		"stable-kill":     {what: "SIGKILL an instance of stable", points: everywhere, inject: (*round).killStable},
		"canary-kill":     {what: "SIGKILL an instance of the canary", points: trafficked, inject: (*round).killCanary},
		"canaries-kill":   {what: "SIGKILL all instances of the canary", points: trafficked, inject: (*round).killCanaries},
		"template-kill":   {what: "SIGKILL consul-template", points: everywhere, inject: (*round).killTemplate},
		"applier-kill":    {what: "SIGKILL the applier", points: everywhere, inject: (*round).killApplier},
		"nginx-worker":    {what: "SIGKILL an nginx worker", points: everywhere, inject: (*round).killWorker, cuts: true},
		"nginx-master":    {what: "SIGTERM the nginx master", points: everywhere, inject: (*round).stopMaster, cuts: true},
		"agent-kill":      {what: "SIGKILL the Nomad agent, start it again", points: everywhere, inject: (*round).killAgent, embedded: true},
		"consul-stop":     {what: "SIGSTOP Consul for 5 s", points: everywhere, inject: (*round).stopConsul},
		"garbage":         {what: "garbage in the keys of another model", points: everywhere, inject: (*round).writeGarbage},
		"canary-key-gone": {what: "delete the canary key", points: trafficked, inject: (*round).deleteCanaryKey},
	}
}

// faultNames are the names in a fixed order, those that a real Nomad has or all.
func faultNames(embedded bool) []string {
	names := slices.Sorted(maps.Keys(faults))
	return slices.DeleteFunc(names, func(n string) bool { return faults[n].embedded && !embedded })
}

// errTooLate says that the rollout was over, or nothing of the kind was there any more.
var errTooLate = errors.New("there was nothing to hit any more")

func kill(pid int) error { return signal(pid, syscall.SIGKILL) }

func signal(pid int, sig syscall.Signal) error {
	if pid == 0 {
		return errTooLate
	}
	if err := syscall.Kill(pid, sig); errors.Is(err, syscall.ESRCH) {
		return errTooLate
	} else if err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

func (r *round) killGuardian() error {
	if r.over() {
		return errTooLate
	}
	return kill(r.deploy.Process.Pid)
}

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
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(r.addr.Ingress, "http://"), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// killAgent kills the agent, leaves its tasks without one for a second, and starts it again on its folder.
func (r *round) killAgent() error {
	if err := kill(r.agent.PID()); err != nil {
		return err
	}
	<-r.agent.Done()
	time.Sleep(time.Second) // the time itself is meant
	_, port, err := net.SplitHostPort(strings.TrimPrefix(r.addr.Nomad, "http://"))
	if err != nil {
		return fmt.Errorf("read Nomad's address: %w", err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return fmt.Errorf("read Nomad's port: %w", err)
	}
	if r.agent, err = parts.Start(r.nomadChild(number)); err != nil {
		return err
	}
	return wait(time.Minute, r.nomadAnswers)
}

func (r *round) stopConsul() error {
	if err := signal(r.server.PID(), syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // the time itself is meant
	return signal(r.server.PID(), syscall.SIGCONT)
}

// garbageKeys are those of a model that there is not.
var garbageKeys = []string{
	traffic.StableKey("other"), traffic.CanaryKey("other"), traffic.RolloutKey("other", "20260101T000000-garbage"),
}

// writeGarbage leaves what is no document under keys of another model, until the rollout is over.
func (r *round) writeGarbage() error {
	for _, key := range garbageKeys {
		if _, err := r.kv.Put(&api.KVPair{Key: key, Value: []byte("{\x00]garbage")}, nil); err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
	}
	return nil
}

func (r *round) deleteCanaryKey() error {
	key := traffic.CanaryKey(model)
	pair, _, err := r.kv.Get(key, nil)
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if pair == nil {
		return errTooLate
	}
	if _, err := r.kv.Delete(key, nil); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}
