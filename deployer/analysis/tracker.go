package analysis

import (
	"fmt"
	"time"
)

// Snapshot is one instance's own numbers, as read at one moment.
type Snapshot struct {
	Alloc   string    // Nomad's allocation id, or another name that no other instance ever has
	Release string    // as the instance itself says
	Started time.Time // of the process; zero where it is not known
	Counts            // since it started
	Err     error     // why it could not be read; the counts are empty then
}

// Tracker counts, per release, what happened since a step began, from snapshots of instances that come, go and restart.
// It is not safe for concurrent use.
type Tracker struct {
	canary, stable string // releases
	since          time.Time
	looked         bool                 // there was a look
	ended          map[string]Counts    // by release: what instances counted before they restarted
	seen           map[string]*instance // by allocation, whether still listed or not
}

// instance is an allocation that was in a look of this step.
type instance struct {
	release string
	base    Counts // when the step began
	last    Counts
	started time.Time
	read    bool // base and last are set
}

// NewTracker begins to count. since is when the step's weight was effective. The first Look is the base line, whatever
// the clocks of the instances say; with a zero since nothing is, and all that was ever counted counts.
func NewTracker(canary, stable string, since time.Time) *Tracker {
	return &Tracker{
		canary: canary, stable: stable, since: since, ended: map[string]Counts{}, seen: map[string]*instance{},
	}
}

// Look takes in the snapshots of all instances that are listed now, and returns both sides' counts since the step
// began. An instance that is not listed any more keeps what it counted until it was last read; one that says it is of
// another release counts as not read.
func (t *Tracker) Look(snapshots []Snapshot) (canary, stable Side) {
	canary, stable = Side{Release: t.canary}, Side{Release: t.stable}
	for _, s := range snapshots {
		side := &stable
		if s.Release == t.canary {
			side = &canary
		} else if s.Release != t.stable {
			continue
		}
		side.Listed++
		if s.Err != nil {
			if side.Trouble == "" {
				side.Trouble = fmt.Sprintf("instance %s: %s", s.Alloc, s.Err)
			}
			t.keep(s)
			continue
		}
		side.Answered++
		t.take(s)
	}
	t.looked = true
	canary.Counts, stable.Counts = t.total(t.canary), t.total(t.stable)
	return canary, stable
}

// keep makes an unread instance known, so that a first reading later is not taken for all its own.
func (t *Tracker) keep(s Snapshot) {
	if t.seen[s.Alloc] == nil {
		t.seen[s.Alloc] = &instance{release: s.Release}
	}
}

func (t *Tracker) take(s Snapshot) {
	in := t.seen[s.Alloc]
	if in == nil || !in.read {
		in = &instance{release: s.Release, started: s.Started, read: true, base: s.Counts, last: s.Counts}
		if s.Started.After(t.since) && (t.looked || t.since.IsZero()) {
			in.base = Counts{} // all that it counted happened in this step
		}
		t.seen[s.Alloc] = in
		return
	}
	_, reset := s.since(in.last)
	if reset || !s.Started.Equal(in.started) {
		delta, _ := in.last.since(in.base)
		t.ended[in.release] = t.ended[in.release].plus(delta)
		in.base, in.started = Counts{}, s.Started
	}
	in.last = s.Counts
}

func (t *Tracker) total(release string) Counts {
	out := t.ended[release]
	for _, in := range t.seen {
		if in.release == release {
			delta, _ := in.last.since(in.base)
			out = out.plus(delta)
		}
	}
	return out
}
