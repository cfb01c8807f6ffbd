package rollout

import (
	"errors"
	"fmt"
	"slices"
)

func (w *world) current() (version, int, bool) {
	if len(w.versions) == 0 || w.versions[len(w.versions)-1].release == "" {
		return version{}, 0, false
	}
	return w.versions[len(w.versions)-1], len(w.versions) - 1, true
}

func (w *world) live(f func(*alloc) bool) []*alloc {
	var out []*alloc
	for _, a := range w.allocs {
		if !a.stopped && !a.dead && f(a) {
			out = append(out, a)
		}
	}
	return out
}

func (w *world) of(release string) []*alloc {
	return w.live(func(a *alloc) bool { return w.versions[a.of].release == release })
}

// register is Nomad's: a new version; what was being deployed is cancelled. A destructive change comes up as canaries
// beside what runs; an equal spec is updated in place.
func (w *world) register(v version) {
	for _, d := range w.deployments {
		if d.Active() {
			d.Status, d.Reason = "cancelled", "Cancelled due to newer version of job"
			w.stopCanaries(d)
		}
	}
	w.versions = append(w.versions, v)
	w.evaluate = true
}

// schedule is Nomad's scheduler, which comes a moment after a registration.
func (w *world) schedule() {
	v, n, exists := w.current()
	if !w.evaluate || !exists {
		return
	}
	w.evaluate = false
	same := w.of(v.release)
	others := w.live(func(a *alloc) bool { return w.versions[a.of].release != v.release })
	d := &deployment{of: n, Deployment: Deployment{
		ID: fmt.Sprintf("d%d", n), Version: uint64(n), Release: v.release, Attempt: v.attempt, Status: "running",
		Wanted: instances,
	}}
	for _, a := range same {
		a.of, a.canary = n, false
	}
	if len(same) == 0 && len(others) > 0 {
		d.Canaries = v.canaries
	}
	if len(same) > 0 { // in place: what is left of another release ends
		stop(others)
	}
	wanted := instances
	if d.Canaries > 0 {
		wanted = d.Canaries
	}
	for range wanted - len(same) {
		w.allocs = append(w.allocs, &alloc{of: n, canary: d.Canaries > 0, startedAt: w.now})
	}
	w.deployments = append(w.deployments, d)
}

func stop(allocs []*alloc) {
	for _, a := range allocs {
		a.stopped = true
	}
}

func (w *world) stopCanaries(d *deployment) {
	if d.Canaries > 0 && !d.Promoted {
		stop(w.live(func(a *alloc) bool { return a.of == d.of && a.canary }))
	}
}

var errRefused = errors.New("refused")

func (w *world) promote(id string) error {
	d := w.find(id)
	switch {
	case d.Promoted:
		return nil
	case !d.Active() || d.Healthy < d.Canaries || w.dead(d):
		return errRefused
	}
	d.Promoted = true
	stop(w.live(func(a *alloc) bool { return a.of != d.of }))
	w.replace(d)
	return nil
}

// replace places what a promoted deployment of few canaries still lacks.
func (w *world) replace(d *deployment) {
	for range d.Wanted - len(w.live(func(a *alloc) bool { return a.of == d.of })) {
		w.allocs = append(w.allocs, &alloc{of: d.of, startedAt: w.now})
	}
}

func (w *world) dead(d *deployment) bool {
	return slices.ContainsFunc(w.allocs, func(a *alloc) bool { return a.of == d.of && a.dead })
}

func (w *world) find(id string) *deployment {
	for _, d := range w.deployments {
		if d.ID == id {
			return d
		}
	}
	w.t.Fatalf("there is no deployment %q", id)
	return nil
}

func (w *world) fail(d *deployment, why string) {
	if !d.Active() {
		return
	}
	w.stopCanaries(d)
	d.Status, d.Reason = "failed", why
	if d.Promoted {
		stop(w.live(func(a *alloc) bool { return a.of == d.of && !a.healthy }))
	}
	back := w.stableVersion("")
	if cur, _, _ := w.current(); w.autoRevert && back != nil && cur.release != w.versions[*back].release {
		w.revert(*back)
	}
}

func (w *world) revert(n uint64) {
	v := w.versions[n]
	v.stable = false
	w.register(v)
}

// stableVersion is the newest version that is stable, of a release unless that is "".
func (w *world) stableVersion(release string) *uint64 {
	for i, v := range slices.Backward(w.versions) {
		if v.stable && (release == "" || v.release == release) {
			n := uint64(i)
			return &n
		}
	}
	return nil
}
