package deploy

import (
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/rollout"
)

// job has one group of a count, with an update block.
func job(count int, update *api.UpdateStrategy) *api.Job {
	id := "iris"
	return &api.Job{ID: &id, TaskGroups: []*api.TaskGroup{{Count: &count, Update: update}}}
}

func TestSizes(t *testing.T) {
	update := func(canary, parallel int, auto bool) *api.UpdateStrategy {
		return &api.UpdateStrategy{Canary: &canary, MaxParallel: &parallel, AutoPromote: &auto}
	}
	for name, tt := range map[string]struct {
		job             *api.Job
		count, canaries int
		want            string
	}{
		"as many canaries": {job(4, update(4, 4, false)), 4, 0, ""},
		"fewer canaries":   {job(4, update(1, 4, false)), 4, 1, ""},
		"no canary":        {job(4, update(0, 4, false)), 0, 0, "want update { canary"},
		"more canaries":    {job(4, update(5, 4, false)), 0, 0, "at most its count of 4"},
		"no update block":  {job(4, nil), 0, 0, "want update { canary"},
		"auto_promote":     {job(4, update(4, 4, true)), 0, 0, "auto_promote = false"},
		"max_parallel 0":   {job(4, update(1, 0, false)), 0, 0, "nobody can promote"},
	} {
		t.Run(name, func(t *testing.T) {
			count, canaries, err := sizes(tt.job)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || count != tt.count || canaries != tt.canaries {
				t.Errorf("%d, %d, %v, want %d, %d", count, canaries, err, tt.count, tt.canaries)
			}
		})
	}
}

func TestCost(t *testing.T) {
	s := rollout.Spec{Count: 4}
	if got := Cost(s); got != "" {
		t.Errorf("as many canaries as instances: %q", got)
	}
	s.Canaries = 1
	if got := Cost(s); !strings.Contains(got, "1 of 4 instances carry all requests") || !strings.Contains(got, "replaced the 3 others") {
		t.Errorf("%q", got)
	}
}

func TestFullSize(t *testing.T) {
	one := 1
	j := job(4, &api.UpdateStrategy{Canary: &one})
	fullSize(j)
	if _, canaries, err := sizes(j); err != nil || canaries != 0 {
		t.Errorf("%d canaries, %v, want as many as instances", canaries, err)
	}
}
