package devnomad

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// allocSet is a set of allocations by ID.
type allocSet map[string]*api.Allocation

func allocSetOf(allocs []*api.Allocation) allocSet {
	set := allocSet{}
	for _, a := range allocs {
		set[a.ID] = a
	}
	return set
}

// byGroup sorts allocations by group; every group of the job has a set.
func byGroup(job *api.Job, allocs []*api.Allocation) map[string]allocSet {
	groups := map[string]allocSet{}
	for _, g := range job.TaskGroups {
		groups[val(g.Name)] = allocSet{}
	}
	for _, a := range allocs {
		if groups[a.TaskGroup] == nil {
			groups[a.TaskGroup] = allocSet{}
		}
		groups[a.TaskGroup][a.ID] = a
	}
	return groups
}

func (s allocSet) add(other allocSet) {
	maps.Copy(s, other)
}

func (s allocSet) pick(ids []string) allocSet {
	out := allocSet{}
	for _, id := range ids {
		if a := s[id]; a != nil {
			out[id] = a
		}
	}
	return out
}

func (s allocSet) without(other allocSet) allocSet {
	rest, _ := s.split(func(a *api.Allocation) bool { return other[a.ID] == nil })
	return rest
}

func (s allocSet) split(keep func(*api.Allocation) bool) (kept, rest allocSet) {
	kept, rest = allocSet{}, allocSet{}
	for id, a := range s {
		if keep(a) {
			kept[id] = a
		} else {
			rest[id] = a
		}
	}
	return kept, rest
}

// byName lists the set in the order of the allocation indexes.
func (s allocSet) byName() []*api.Allocation {
	return sorted(s, func(*api.Allocation) bool { return true }, func(a, b *api.Allocation) int {
		return cmp.Or(cmp.Compare(allocIndex(a.Name), allocIndex(b.Name)), compareAllocs(a, b))
	})
}

// allocIndex returns the 2 of "job.group[2]".
func allocIndex(name string) int {
	_, index, _ := strings.Cut(name, "[")
	n, _ := strconv.Atoi(strings.TrimSuffix(index, "]"))
	return n
}

// byNode sorts allocations by whether they may stay where they are, must leave their node, or are lost with it.
func (r *reconciler) byNode(all allocSet) (staying, migrating, lost allocSet) {
	live, over := all.split(func(a *api.Allocation) bool { return !terminal(a) })
	migrating, live = live.split(func(a *api.Allocation) bool { return val(a.DesiredTransition.Migrate) })
	lost, staying = live.split(func(a *api.Allocation) bool { return r.down[a.NodeID] })
	staying.add(over)
	return staying, migrating, lost
}

// surplus stops what a group has above its count: first the namesakes of promoted canaries, then the highest indexes.
func (r *reconciler) surplus(group *api.TaskGroup, names *names, running, migrating, canaries allocSet, canarying bool) allocSet {
	if canarying {
		running = running.without(canaries)
	}
	stopped := allocSet{}
	remove := len(running) + len(migrating) - val(group.Count)
	candidates := surplusOrder(running, migrating, canaries, canarying)
	for _, a := range candidates[:min(max(remove, 0), len(candidates))] {
		stopped[a.ID] = a
		names.free(a, running.without(stopped))
	}
	r.stopAll(stopped)
	return stopped
}

func surplusOrder(running, migrating, canaries allocSet, canarying bool) []*api.Allocation {
	live, _ := running.split(func(a *api.Allocation) bool { return !terminal(a) })
	var order []*api.Allocation
	if !canarying {
		replaced := map[string]bool{}
		for _, c := range canaries {
			replaced[c.Name] = true
		}
		namesakes, _ := live.without(canaries).split(func(a *api.Allocation) bool { return replaced[a.Name] })
		order = namesakes.byName()
	}
	rest := live.without(allocSetOf(order))
	rest.add(migrating)
	others := rest.byName()
	slices.Reverse(others)
	slices.SortStableFunc(others, func(a, b *api.Allocation) int { // migrating ones and older versions go first
		return cmp.Or(cmp.Compare(boolInt(migrating[b.ID] != nil), boolInt(migrating[a.ID] != nil)))
	})
	return append(order, others...)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// changed sorts running allocations into those of the newest version, those that take it as they are, and those that
// must be replaced.
func (r *reconciler) changed(group *api.TaskGroup, running allocSet) (same, inplace, destructive allocSet) {
	same, inplace, destructive = allocSet{}, allocSet{}, allocSet{}
	for id, a := range running {
		switch {
		case val(a.Job.JobModifyIndex) == val(r.job.JobModifyIndex):
			same[id] = a
		case needsReplacement(a.Job, r.job, val(group.Name)):
			destructive[id] = a
		case !r.isService && terminal(a):
			same[id] = a
		default:
			inplace[id] = a
		}
	}
	return same, inplace, destructive
}

// reschedulable takes out of running what is over, and what has failed and may be replaced: now or later.
func (r *reconciler) reschedulable(all allocSet) (running, now allocSet, later map[*api.Allocation]time.Time) {
	running, now, later = allocSet{}, allocSet{}, map[*api.Allocation]time.Time{}
	for id, a := range all {
		switch at, eligible := r.rescheduleAt(a); {
		case r.over(a):
		case eligible && (a.FollowupEvalID == r.evalID || val(a.DesiredTransition.ForceReschedule) || !at.After(r.now.Add(time.Second))):
			now[id] = a
		default:
			running[id] = a
			if eligible && a.FollowupEvalID == "" {
				later[a] = at
			}
		}
	}
	return running, now, later
}

// over reports whether an allocation counts no more. One that failed and is not replaced does count: its group is not
// filled up.
func (r *reconciler) over(a *api.Allocation) bool {
	if a.NextAllocation != "" && terminal(a) {
		return true
	}
	if serverTerminal(a) || a.ClientStatus == api.AllocClientStatusLost {
		return r.isService || a.ClientStatus != api.AllocClientStatusComplete
	}
	return r.isService && a.ClientStatus == api.AllocClientStatusComplete
}

// rescheduleAt returns when a failed allocation may be replaced. One of the running deployment may only after the
// deployment's watcher has allowed it, so that one healthy before never is.
func (r *reconciler) rescheduleAt(a *api.Allocation) (time.Time, bool) {
	if r.deployment.active() && a.DeploymentID == r.deployment.ID && !val(a.DesiredTransition.Reschedule) {
		return time.Time{}, false
	}
	return nextReschedule(a)
}

// names hands out allocation names: job.group[index].
type names struct {
	prefix string
	count  int
	used   map[int]bool
}

func newNames(job *api.Job, group *api.TaskGroup, sets ...allocSet) *names {
	n := &names{prefix: val(job.ID) + "." + val(group.Name), count: val(group.Count), used: map[int]bool{}}
	for _, set := range sets {
		for _, a := range set {
			n.used[allocIndex(a.Name)] = true
		}
	}
	return n
}

func (n *names) name(i int) string { return fmt.Sprintf("%s[%d]", n.prefix, i) }

// free gives a name back, unless another allocation has it too.
func (n *names) free(a *api.Allocation, others allocSet) {
	for _, o := range others {
		if o.Name == a.Name {
			return
		}
	}
	delete(n.used, allocIndex(a.Name))
}

// next returns the lowest free names below the count; if they don't suffice, names are used twice.
func (n *names) next(want int) []string {
	var out []string
	for i := 0; i < n.count && len(out) < want; i++ {
		if !n.used[i] {
			n.used[i] = true
			out = append(out, n.name(i))
		}
	}
	for i := 0; len(out) < want; i++ {
		out = append(out, n.name(i))
	}
	return out
}

// canaries returns names for canaries: those of the allocations that they will replace, then free ones, then above.
func (n *names) canaries(want int, existing, destructive allocSet) []string {
	taken := map[string]bool{}
	for _, a := range existing {
		taken[a.Name] = true
	}
	var out []string
	take := func(name string) {
		if len(out) < want && !taken[name] {
			taken[name] = true
			out = append(out, name)
		}
	}
	for _, a := range destructive.byName() {
		take(a.Name)
	}
	for i := 0; i < n.count; i++ {
		if !n.used[i] {
			take(n.name(i))
		}
	}
	for i := n.count; len(out) < want; i++ {
		take(n.name(i))
	}
	return out
}
