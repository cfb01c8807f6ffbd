package rollout

import "time"

// Evidence is what the canary's instances left behind, read when the traffic is back and before Nomad stops them.
type Evidence struct {
	Allocs []AllocEvidence `json:"allocs"`
}

// AllocEvidence is what one instance left behind.
type AllocEvidence struct {
	ID     string   `json:"id"`
	Node   string   `json:"node"`
	Status string   `json:"status"`           // Nomad's
	Events []string `json:"events,omitempty"` // of its task, oldest first
	Checks []string `json:"checks,omitempty"` // of Consul that don't pass, with their output
	Log    string   `json:"log,omitempty"`    // the last lines of its standard error
}

// collectFor is how long the evidence may delay the second half of going back, in which no request depends on it.
const collectFor = 3 * time.Second

// collect asks for the evidence once, and waits for it for a moment.
func (r *Record) collect(obs Observation, now time.Time) []Action {
	switch {
	case r.Evidence != nil || r.Stable == "":
		return nil
	case obs.Evidence != nil:
		r.Evidence = obs.Evidence
		r.log(now, "keeps what the canary's instances left behind", "")
		return nil
	case r.Collecting.IsZero():
		r.Collecting = now
	case now.Sub(r.Collecting) >= collectFor:
		return nil
	}
	return []Action{Collect{}}
}
