package deploy

import (
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/rollout"
)

// sizes returns the job's count and, where it is smaller, the number of its canaries; otherwise 0. It refuses an update
// block in which Nomad would replace instances before the traffic has moved.
func sizes(job *api.Job) (count, canaries int, err error) {
	if len(job.TaskGroups) != 1 {
		return 0, 0, fmt.Errorf("job %q has %d groups: want one, with the model's instances", *job.ID, len(job.TaskGroups))
	}
	g := job.TaskGroups[0]
	u := g.Update
	switch {
	case u == nil || u.Canary == nil || *u.Canary < 1 || *u.Canary > *g.Count:
		return 0, 0, fmt.Errorf("job %q: want update { canary = … } of at least 1 and at most its count of %d, so that the "+
			"new release comes up beside the old one", *job.ID, *g.Count)
	case u.AutoPromote != nil && *u.AutoPromote:
		return 0, 0, fmt.Errorf("job %q: want auto_promote = false: Weir promotes, after the traffic has moved", *job.ID)
	case u.MaxParallel != nil && *u.MaxParallel < 1:
		return 0, 0, fmt.Errorf("job %q: want max_parallel of at least 1: with 0, Nomad places canaries that nobody can promote",
			*job.ID)
	}
	if *u.Canary < *g.Count {
		canaries = *u.Canary
	}
	return *g.Count, canaries, nil
}

// fullSize has a job's next deployment come up beside the running instances as a whole.
func fullSize(job *api.Job) {
	for _, g := range job.TaskGroups {
		if g.Update != nil {
			g.Update.Canary = g.Count
		}
	}
}

// Cost says in one sentence what fewer canaries than instances cost; "" where there are as many.
func Cost(s rollout.Spec) string {
	if s.Trial() == s.Count {
		return ""
	}
	return fmt.Sprintf("%d of %d instances carry all requests from the step of 100 %% until, after the promote, Nomad has "+
		"replaced the %d others: each waits for an old one to end (shutdown_delay, stopping, start)",
		s.Trial(), s.Count, s.Count-s.Trial())
}
