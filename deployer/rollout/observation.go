package rollout

import "time"

// Observation is one look at the world. It is read anew for each call of Next.
type Observation struct {
	Nomad   Nomad
	Canary  Side // instances of the release under trial
	Stable  Side // instances of the release to go back to
	Traffic Traffic
	// Takeover is set in the first look of a guardian that did not begin the rollout.
	Takeover bool
	// Unseen is how long nobody looked before this look, where that was longer than usual: Consul did not answer, or
	// the process stood still. What happened meanwhile is not known.
	Unseen time.Duration
	// Judged is what the analysis says; nil for nothing yet.
	Judged *Judgement
	// Hooks are the hooks that this guardian ran to their end.
	Hooks []HookRun
	// Evidence is what Collect found; nil for nothing yet.
	Evidence *Evidence
}

// Nomad is what the job looks like.
type Nomad struct {
	Down    string // why Nomad can't be asked; "" when it answered
	Exists  bool
	Release string // of the job's current version
	Attempt string // of the job's current version
	Version uint64
	Current Deployment // the job's newest deployment
	Trial   Deployment // the newest deployment of the record's attempt
	// StableVersion is the newest version of the job that is of the stable release.
	StableVersion *uint64
}

// Deployment is a Nomad deployment.
type Deployment struct {
	ID       string
	Version  uint64 // of the job
	Release  string // of that version
	Attempt  string // of that version
	Status   string // Nomad's: running, paused, failed, successful, cancelled, …
	Reason   string // Nomad's status description
	Canaries int    // desired canaries
	Promoted bool
	Healthy  int
	Wanted   int
}

// Active says whether Nomad still works on the deployment.
func (d Deployment) Active() bool {
	switch d.Status {
	case "", "failed", "successful", "cancelled":
		return false
	}
	return true
}

// WaitsForPromotion says whether the deployment has canaries that nobody promoted.
// (Its description can't tell: a resumed deployment reads "Deployment is running".)
func (d Deployment) WaitsForPromotion() bool { return d.Active() && d.Canaries > 0 && !d.Promoted }

// Side is the instances of one release.
type Side struct {
	Passing  int    // in Consul
	Critical int    // in Consul
	Running  int    // allocations that Nomad runs
	Dead     int    // allocations that failed, were lost, or ended though they should run
	Stuck    int    // dead allocations that Nomad should run and has not replaced
	Open     int    // allocations that were just placed, whose health Nomad has not decided yet
	Trouble  string // the first thing that is wrong, in words
}

// Traffic is what Consul holds and what the ingresses serve.
type Traffic struct {
	Stable   string // release; "" where there is no record
	Previous string
	Epoch    uint64 // of the stable key
	Canary   *CanaryKey
	// Adoptable is the release of the passing non-canary instances, where no stable is recorded; "" if none.
	Adoptable string
	// Served maps each live ingress to the epochs that it serves of this model.
	Served map[string]string
	// LostIngress is when an ingress was last lost; a lost one may serve its last state for LostFor.
	LostIngress time.Time
}

// CanaryKey is the ephemeral key as it is in Consul.
type CanaryKey struct {
	Release string
	Weight  int
	Epoch   uint64
	Shadow  bool
	Mine    bool // held by this guardian's session
}

// LostFor is how long an ingress without Consul may go on to send requests to a canary.
const LostFor = 15 * time.Second

// shows says whether every live ingress serves the epochs. Without an ingress nothing is shown.
func (t Traffic) shows(served string) bool {
	for _, s := range t.Served {
		if s != served {
			return false
		}
	}
	return len(t.Served) > 0
}

// gone says whether no ingress, live or lost, can send a request by an older state than served.
// With no ingress left alive, lost ones are waited for and nobody else can send any.
func (t Traffic) gone(served string, since, now time.Time) bool {
	if now.Sub(t.LostIngress) < LostFor {
		return false
	}
	if len(t.Served) == 0 {
		return now.Sub(since) >= LostFor
	}
	return t.shows(served)
}
