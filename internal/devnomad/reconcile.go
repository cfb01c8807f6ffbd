package devnomad

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Why allocations are stopped, in Nomad's words.
const (
	stopNotNeeded   = "alloc not needed due to job update"
	stopUpdated     = "alloc is being updated due to job update"
	stopRescheduled = "alloc was rescheduled because it failed"
	stopMigrating   = "alloc is being migrated"
	stopLost        = "alloc is lost since its node is down"
)

// desired is what a job should be and what it is: all that a scheduling decision rests on.
type desired struct {
	job        *api.Job // nil when purged
	allocs     []*api.Allocation
	deployment *deployment // the newest of the job, or nil
	evalID     string
	priority   int
	now        time.Time
	down       map[string]bool // nodes whose allocations are lost
}

// plan is what a scheduling decision changes.
type plan struct {
	place      []placement
	stop       []stopping
	inplace    []*api.Allocation // to be moved to the newest version as they are
	later      map[*api.Allocation]time.Time
	created    *deployment // a new deployment
	ended      []ending
	groups     map[string]*api.DesiredUpdates
	deployment *deployment // the one that new allocations belong to, or nil
}

type placement struct {
	name       string
	group      *api.TaskGroup
	canary     bool
	previous   *api.Allocation
	reschedule bool
	lost       bool   // replaces one whose node is down
	updates    bool   // replaces one that runs on if this finds no place
	old        bool   // to be placed at the version that served before the canaries
	node       string // the only node for it, "" for any
}

type stopping struct {
	alloc *api.Allocation
	why   string // stopLost if the client can't say that it has ended
}

type ending struct{ id, status, description string }

// reconciler works out a plan, group by group.
type reconciler struct {
	desired
	plan      plan
	old       *deployment // the newest deployment, where it is of another version or has succeeded
	paused    bool
	failed    bool
	isService bool
}

// reconcile decides what must change so that the job's allocations become what its newest version says. It is pure.
func reconcile(in desired) plan {
	r := &reconciler{desired: in, plan: plan{later: map[*api.Allocation]time.Time{}, groups: map[string]*api.DesiredUpdates{}}}
	r.setAsideDeployment()
	r.isService = in.job == nil || val(in.job.Type) == api.JobTypeService
	stopped := in.job == nil || val(in.job.Stop)
	if stopped {
		r.stopAll(allocSetOf(in.allocs))
		return r.plan
	}
	complete := true
	for name, allocs := range byGroup(in.job, in.allocs) {
		if group := in.job.LookupTaskGroup(name); group == nil {
			r.stopAll(allocs)
		} else {
			complete = r.group(group, allocs) && complete
		}
	}
	r.settleDeployment(complete)
	return r.plan
}

// setAsideDeployment ends a deployment that this version of the job has overtaken.
func (r *reconciler) setAsideDeployment() {
	d := r.deployment
	if d == nil {
		return
	}
	overtaken := descNewer
	switch {
	case r.job == nil || val(r.job.Stop):
		overtaken = descStopped
	case d.JobCreateIndex != val(r.job.CreateIndex) || d.JobVersion != val(r.job.Version):
	case d.Status == api.DeploymentStatusSuccessful:
		r.old, r.deployment = d, nil
		return
	default:
		r.paused = d.Status == api.DeploymentStatusPaused
		r.failed = d.Status == api.DeploymentStatusFailed
		return
	}
	if d.active() {
		r.plan.ended = append(r.plan.ended, ending{d.ID, api.DeploymentStatusCancelled, overtaken})
	}
	r.old, r.deployment = d, nil
}

// group plans one task group and reports whether its deployment has nothing left to do.
func (r *reconciler) group(group *api.TaskGroup, all allocSet) bool {
	counts := &api.DesiredUpdates{}
	r.plan.groups[val(group.Name)] = counts
	state, existing := r.groupState(group)

	canaries, all := r.dropCanaries(state, all)
	running, migrating, lost := r.byNode(all)
	running, now, later := r.reschedulable(running)
	maps.Copy(r.plan.later, later)

	names := newNames(r.job, group, running, migrating, now, lost)
	canarying := existing && !r.failed && state.canarying()
	r.stopAll(lost)
	stopped := r.surplus(group, names, running, migrating, canaries, canarying)
	running = running.without(stopped)
	migrating = migrating.without(stopped)
	ignored, inplace, destructive := r.changed(group, running)
	if !existing {
		state.DesiredTotal += len(destructive) + len(inplace)
	}
	if canarying {
		running = running.without(canaries)
	}
	needsCanaries := r.placeCanaries(group, names, state, canaries, destructive, counts)
	canarying = state.canarying()

	budget := r.budget(group, running, destructive, migrating, canarying)
	place := r.missing(group, names, running, migrating, now, lost, canarying)
	if !existing {
		state.DesiredTotal += len(place)
	}
	ready := !r.paused && !r.failed && !canarying
	budget -= r.replace(ready, place, now, budget, counts)
	counts.Ignore, counts.InPlaceUpdate = uint64(len(ignored)), uint64(len(inplace))
	counts.Stop += uint64(len(stopped) + len(lost))
	r.plan.inplace = append(r.plan.inplace, inplace.byName()...)
	if ready {
		r.replaceChanged(group, destructive, budget, counts)
	} else {
		counts.Ignore += uint64(len(destructive))
	}
	r.migrate(group, migrating, canarying, counts)
	r.createDeployment(group, existing, state, all, len(destructive)+len(inplace) > 0)

	idle := len(destructive)+len(inplace)+len(place)+len(migrating)+len(now)+len(later) == 0 && !needsCanaries
	return idle && r.deployment != nil && state.done()
}

func (g *groupState) done() bool {
	return g.HealthyAllocs >= max(g.DesiredTotal, g.DesiredCanaries) && !g.canarying()
}

// groupState returns how far the running deployment is with a group, or what a new one would start with.
func (r *reconciler) groupState(group *api.TaskGroup) (state *groupState, existing bool) {
	if r.deployment != nil {
		if g := r.deployment.TaskGroups[val(group.Name)]; g != nil {
			return g, true
		}
	}
	state = &groupState{}
	if u := group.Update; updates(group) {
		state.AutoRevert, state.AutoPromote = val(u.AutoRevert), val(u.AutoPromote)
		state.ProgressDeadline = val(u.ProgressDeadline)
	}
	return state, false
}

// dropCanaries stops the unpromoted canaries of an overtaken or failed deployment, and those of the running one that
// cannot stay on their nodes: they are placed anew as canaries, with no link to what they replace. It returns the
// canaries of the running one, and what is left of all.
func (r *reconciler) dropCanaries(state *groupState, all allocSet) (canaries, rest allocSet) {
	unwanted := allocSet{}
	for _, d := range []*deployment{r.old, r.deployment} {
		if d == nil || (d == r.deployment && !r.failed) {
			continue
		}
		for _, g := range d.TaskGroups {
			if !g.Promoted {
				unwanted.add(all.pick(g.PlacedCanaries))
			}
		}
	}
	r.stopAll(unwanted)
	rest = all.without(unwanted)
	canaries = allocSet{}
	if r.deployment != nil {
		var migrating, lost allocSet
		canaries, migrating, lost = r.byNode(rest.pick(state.PlacedCanaries))
		for _, a := range migrating.byName() {
			r.plan.stop = append(r.plan.stop, stopping{a, stopMigrating})
		}
		r.stopAll(lost)
		rest = rest.without(migrating).without(lost)
	}
	return canaries, rest
}

// placeCanaries places the canaries that are missing, where running allocations would have to be replaced.
func (r *reconciler) placeCanaries(group *api.TaskGroup, names *names, state *groupState, canaries, destructive allocSet,
	counts *api.DesiredUpdates,
) bool {
	if group.Update == nil || state.Promoted || len(destructive) == 0 || len(canaries) >= val(group.Update.Canary) {
		return false
	}
	state.DesiredCanaries = val(group.Update.Canary)
	if r.paused || r.failed {
		return true
	}
	missing := state.DesiredCanaries - len(canaries)
	counts.Canary += uint64(missing)
	for _, name := range names.canaries(missing, canaries, destructive) {
		r.plan.place = append(r.plan.place, placement{name: name, group: group, canary: true})
	}
	return true
}

// budget is how many allocations may be replaced now: max_parallel, less those that are not healthy yet. One unhealthy
// allocation stops everything.
func (r *reconciler) budget(group *api.TaskGroup, running, destructive, migrating allocSet, canarying bool) int {
	switch {
	case !updates(group) || len(destructive)+len(migrating) == 0:
		return val(group.Count)
	case r.deployment == nil && !canarying:
		return val(group.Update.MaxParallel)
	case r.paused || r.failed || canarying:
		return 0
	}
	budget := val(group.Update.MaxParallel)
	for _, a := range running {
		switch {
		case a.DeploymentID != r.deployment.ID || isHealthy(a):
		case isUnhealthy(a):
			return 0
		default:
			budget--
		}
	}
	return max(budget, 0)
}

// missing lists the placements that bring a group to its count: failed allocations are placed anew, then lost ones,
// then new ones.
func (r *reconciler) missing(
	group *api.TaskGroup, names *names, running, migrating, now, lost allocSet, canarying bool,
) []placement {
	var place []placement
	for _, a := range now.byName() {
		place = append(place, placement{
			name: a.Name, group: group, previous: a, reschedule: true, canary: isCanary(a), old: canarying && !isCanary(a),
		})
	}
	existing := len(running) + len(migrating) + len(now)
	for _, a := range lost.byName() {
		if existing >= val(group.Count) {
			break
		}
		existing++
		place = append(place, placement{
			name: a.Name, group: group, previous: a, lost: true, canary: isCanary(a), old: canarying && !isCanary(a),
		})
	}
	for _, name := range names.next(val(group.Count) - existing) {
		place = append(place, placement{name: name, group: group, old: canarying})
	}
	return place
}

// replace plans placements and returns what they take of the budget. While canaries wait, or a deployment is paused or
// has failed, only lost and failed allocations are replaced, and of a failed deployment's own not even those.
func (r *reconciler) replace(ready bool, place []placement, now allocSet, budget int, counts *api.DesiredUpdates) int {
	if ready {
		r.plan.place = append(r.plan.place, place...)
		counts.Place += uint64(len(place))
		counts.Stop += uint64(len(now))
		for _, a := range now.byName() {
			r.plan.stop = append(r.plan.stop, stopping{a, stopRescheduled})
		}
		return min(len(place), budget)
	}
	for _, p := range place {
		if p.lost {
			r.plan.place = append(r.plan.place, p)
			counts.Place++
			continue
		}
		if !p.reschedule || r.failed && p.previous.DeploymentID == r.deployment.ID {
			continue
		}
		r.plan.place = append(r.plan.place, p)
		r.plan.stop = append(r.plan.stop, stopping{p.previous, stopRescheduled})
		counts.Place++
		counts.Stop++
	}
	return 0
}

// replaceChanged stops and replaces allocations whose specification has changed, as many as the budget allows.
func (r *reconciler) replaceChanged(group *api.TaskGroup, destructive allocSet, budget int, counts *api.DesiredUpdates) {
	order := destructive.byName()
	n := min(len(order), max(budget, 0))
	counts.DestructiveUpdate += uint64(n)
	counts.Ignore += uint64(len(order) - n)
	for _, a := range order[:n] {
		r.plan.stop = append(r.plan.stop, stopping{a, stopUpdated})
		r.plan.place = append(r.plan.place, placement{name: a.Name, group: group, previous: a, updates: true})
	}
}

// migrate replaces allocations that must leave their node, while canaries wait at their old version.
func (r *reconciler) migrate(group *api.TaskGroup, migrating allocSet, canarying bool, counts *api.DesiredUpdates) {
	counts.Migrate += uint64(len(migrating))
	for _, a := range migrating.byName() {
		r.plan.stop = append(r.plan.stop, stopping{a, stopMigrating})
		r.plan.place = append(r.plan.place, placement{
			name: a.Name, group: group, previous: a, canary: isCanary(a), old: canarying && !isCanary(a),
		})
	}
}

// createDeployment starts a deployment where a version of the job is rolled out.
func (r *reconciler) createDeployment(group *api.TaskGroup, existing bool, state *groupState, all allocSet, updating bool) {
	if existing || !updates(group) || state.DesiredTotal == 0 || !r.isService {
		return
	}
	ran := slices.ContainsFunc(all.byName(), func(a *api.Allocation) bool {
		return jobVersion(a) == val(r.job.Version) && val(a.Job.CreateIndex) == val(r.job.CreateIndex)
	})
	if ran && !updating {
		return
	}
	if r.deployment == nil {
		r.deployment = &deployment{
			ID: newID(), Namespace: val(r.job.Namespace), JobID: val(r.job.ID), JobVersion: val(r.job.Version),
			JobModifyIndex: val(r.job.ModifyIndex), JobSpecModifyIndex: val(r.job.JobModifyIndex),
			JobCreateIndex: val(r.job.CreateIndex), TaskGroups: map[string]*groupState{},
			Status: api.DeploymentStatusRunning, StatusDescription: descRunning, EvalPriority: r.priority,
		}
		r.plan.created = r.deployment
	}
	r.deployment.TaskGroups[val(group.Name)] = state
}

// settleDeployment ends a deployment with nothing left to do, and words a new one's state.
func (r *reconciler) settleDeployment(complete bool) {
	d := r.deployment
	if d == nil {
		return
	}
	if complete && r.plan.created == nil && d.active() {
		r.plan.ended = append(r.plan.ended, ending{d.ID, api.DeploymentStatusSuccessful, descSuccessful})
	}
	if d == r.plan.created && d.requiresPromotion() {
		d.StatusDescription = descNeedsPromote
		if d.autoPromotes() {
			d.StatusDescription = descAutoPromote
		}
	}
	if d.active() {
		r.plan.deployment = d
	}
}

func (r *reconciler) stopAll(allocs allocSet) {
	for _, a := range allocs.byName() {
		switch {
		case serverTerminal(a):
		case r.down[a.NodeID] && !clientTerminal(a):
			r.plan.stop = append(r.plan.stop, stopping{a, stopLost})
		default:
			r.plan.stop = append(r.plan.stop, stopping{a, stopNotNeeded})
		}
	}
}
