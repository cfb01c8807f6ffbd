//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// replicas is the number of instances of stable.
const replicas = 2

// promises checks what must hold after each rollout, whatever happened in it.
func (r *round) promises() error {
	want := r.stable
	if r.result.End == rollout.Done {
		want = r.record().Release
	}
	errs := []error{
		r.guarded(),
		wait(time.Minute, func() error { return r.weights(want) }),
		wait(time.Minute, func() error { return r.instances(want) }),
		wait(time.Minute, func() error { return r.settled(want) }),
		wait(time.Minute, r.nothingLeft),
		r.answers(want),
	}
	// Lost requests last: what comes after the end counts too.
	errs = append(errs, r.lost())
	if r.result.Unfenced != "" {
		errs = append(errs, errors.New(r.result.Unfenced))
	}
	r.stable = want
	return errors.Join(errs...)
}

// guarded checks that the daemon lives.
func (r *round) guarded() error {
	select {
	case <-r.daemon.done:
		return fmt.Errorf("the daemon has ended: %s", r.daemon.ProcessState)
	default:
		return nil
	}
}

// weights checks that stable alone has the traffic, in Consul and in what nginx serves.
func (r *round) weights(release string) error {
	keys, err := r.consul.Traffic(r.t.Context(), model)
	if err != nil {
		return err
	}
	if keys.Stable == nil || keys.Stable.Release != release || keys.Canary != nil {
		return fmt.Errorf("the traffic keys are %+v, want stable %s and no canary", keys, release)
	}
	ingresses, err := r.consul.Ingresses(r.t.Context())
	if err != nil {
		return err
	}
	for node, in := range ingresses {
		if in.Stale || in.Epoch[model] != traffic.ServedEpoch(keys.Stable.Epoch, nil) {
			return fmt.Errorf("ingress %s serves epoch %s (stale: %t), want %d/-", node, in.Epoch[model], in.Stale, keys.Stable.Epoch)
		}
	}
	if len(ingresses) != 1 {
		return fmt.Errorf("%d ingresses, want 1", len(ingresses))
	}
	return nil
}

// instances checks that all instances of stable pass, and that there is no other instance and no other process.
func (r *round) instances(release string) error {
	instances, err := r.consul.Instances(r.t.Context(), model)
	if err != nil {
		return err
	}
	for _, in := range instances {
		if in.Release != release || in.Status != "passing" {
			return fmt.Errorf("Consul has a %s instance of %s, want passing ones of %s only", in.Status, in.Release, release)
		}
	}
	all, own := r.tasks(""), r.tasks(release)
	if len(instances) != replicas || len(all) != replicas || len(own) != replicas {
		return fmt.Errorf("%d instances in Consul, %d processes, %d of them of %s; want %d of each",
			len(instances), len(all), len(own), release, replicas)
	}
	return nil
}

// settled checks that Nomad runs the release and nothing else, and has no deployment under way.
func (r *round) settled(release string) error {
	v, err := r.nomad.Look(r.t.Context(), model, "", release)
	if err != nil {
		return err
	}
	if v.State.Release != release || v.State.Current.Active() || v.Stable.Running != replicas {
		return fmt.Errorf("Nomad: job on %s, deployment %q, %d instances of %s run; want %d and no deployment under way",
			v.State.Release, v.State.Current.Status, v.Stable.Running, release, replicas)
	}
	return nil
}

// nothingLeft checks that Consul holds no session but the ingress's, and no key but those that stay.
func (r *round) nothingLeft() error {
	if _, active, err := r.consul.Active(r.t.Context(), model); err != nil || active {
		return fmt.Errorf("a rollout is under way: %t, %w", active, err)
	}
	sessions, _, err := r.servers.API.Session().List(nil)
	if err != nil {
		return fmt.Errorf("list the sessions: %w", err)
	}
	for _, s := range sessions {
		if s.Name != "weir ingress "+ingress.Name {
			return fmt.Errorf("session %q is left", s.Name)
		}
	}
	pairs, _, err := r.kv.List("", nil)
	if err != nil {
		return fmt.Errorf("list the keys: %w", err)
	}
	for _, p := range pairs {
		stays := p.Key == traffic.StableKey(model) || p.Key == traffic.IngressKey(ingress.Name) ||
			p.Key == traffic.LeaseKey(model) && p.Session == "" || strings.HasPrefix(p.Key, traffic.RolloutsPrefix+model+"/")
		if !stays {
			return fmt.Errorf("key %s is left", p.Key)
		}
	}
	if len(sessions) != 1 {
		return fmt.Errorf("%d sessions, want the ingress's alone", len(sessions))
	}
	return nil
}

// answers checks that only one release answers.
func (r *round) answers(release string) error {
	pause(time.Second) // the last old worker of nginx finishes its requests
	before := r.load.Counts()
	err := wait(30*time.Second, func() error {
		if n := r.load.Counts().Sub(before).Answered(); n < 100 {
			return fmt.Errorf("%d answers, want 100", n)
		}
		return nil
	})
	if c := r.load.Counts().Sub(before); err == nil && c.Share(release) != 1 {
		return fmt.Errorf("answers come from %v, want all from %s", c.ByRelease, release)
	}
	return err
}

// lost sorts the requests without a good answer: those on connections that a fault itself broke are counted apart.
func (r *round) lost() error {
	c := r.load.Counts().Sub(r.before)
	r.result.Sent = c.Sent
	var first string
	for _, l := range c.Lost {
		broken := !strings.HasPrefix(l.What, "status ") && !l.At.Before(r.cut[0]) && l.At.Before(r.cut[1])
		if broken {
			r.result.Broken++
			continue
		}
		if r.result.Lost++; first == "" {
			first = fmt.Sprintf("%s: %s (release %s)", l.At.Format(time.TimeOnly+".000"), l.What, l.Release)
		}
	}
	if r.result.Lost > 0 {
		return fmt.Errorf("%d of %d requests lost, the first at %s", r.result.Lost, r.result.Sent, first)
	}
	return nil
}
