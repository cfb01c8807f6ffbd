package devnomad

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// groupsJob is a job of several groups.
func groupsJob(env string, groups ...*api.TaskGroup) *api.Job {
	job := testJob(0, 0, 1, env)
	task := job.TaskGroups[0].Tasks[0]
	job.TaskGroups = nil
	for _, g := range groups {
		group, of := *g, *task
		group.Tasks = []*api.Task{&of}
		job.TaskGroups = append(job.TaskGroups, &group)
	}
	return job
}

func rolled(name string, count, canary int, auto bool) *api.TaskGroup {
	return &api.TaskGroup{Name: new(name), Count: new(count), Update: &api.UpdateStrategy{
		MaxParallel: new(1), Canary: new(canary), AutoPromote: new(auto),
	}}
}

// state writes down how far the newest deployment is: of each group its canaries, placed and healthy allocations of all.
func (c *cluster) state() string {
	d := c.latest()
	out := d.Status + ": " + d.StatusDescription
	for _, name := range union(d.TaskGroups, nil) {
		g := d.TaskGroups[name]
		out += fmt.Sprintf(" %s(%d %d/%d/%d", name, g.DesiredCanaries, g.HealthyAllocs, g.PlacedAllocs, g.DesiredTotal)
		if g.Promoted {
			out += " promoted"
		}
		out += ")"
	}
	return out
}

func (c *cluster) want(what, want string) {
	c.t.Helper()
	if got := c.state(); got != want {
		c.t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func (c *cluster) promoteGroups(groups ...string) {
	c.t.Helper()
	id := c.latest().ID
	c.change(func(tx *txn) {
		chosen := func(g string) bool { return len(groups) == 0 || slices.Contains(groups, g) }
		if _, err := tx.promote(tx.deployments[id], chosen); err != nil {
			c.t.Error(err)
		}
	})
}

// settled lets everything that is to run become healthy, until that changes nothing more.
func (c *cluster) settled() {
	for range 5 {
		c.heal()
		c.nodes["a"].ended(c.nodes["a"].stops()...)
		pass(2 * time.Second)
	}
}

// TestPromotionOfSeveralGroups follows what a real Nomad was seen to do.
func TestPromotionOfSeveralGroups(t *testing.T) {
	for name, tc := range map[string]struct {
		groups            []*api.TaskGroup
		begins, when, end string
		promote           []string // nil for none
	}{
		"one promotes itself, one has no canaries": {
			groups: []*api.TaskGroup{rolled("a", 2, 1, true), rolled("b", 2, 0, false)},
			begins: "running: Deployment is running pending automatic promotion a(1 0/1/2) b(0 0/1/2)",
			end:    "successful: Deployment completed successfully a(1 2/2/2 promoted) b(0 2/2/2 promoted)",
		},
		"both promote themselves": {
			groups: []*api.TaskGroup{rolled("a", 1, 1, true), rolled("b", 1, 1, true)},
			begins: "running: Deployment is running pending automatic promotion a(1 0/1/1) b(1 0/1/1)",
			end:    "successful: Deployment completed successfully a(1 1/1/1 promoted) b(1 1/1/1 promoted)",
		},
		"one would promote itself, and waits for the other": {
			groups:  []*api.TaskGroup{rolled("a", 1, 1, true), rolled("b", 1, 1, false)},
			begins:  "running: Deployment is running but requires manual promotion a(1 0/1/1) b(1 0/1/1)",
			when:    "running: Deployment is running but requires manual promotion a(1 1/1/1) b(1 1/1/1)",
			promote: []string{"b"},
			end:     "running: Deployment is running but requires manual promotion a(1 1/1/1) b(1 1/1/1 promoted)",
		},
		"all by hand": {
			groups:  []*api.TaskGroup{rolled("a", 1, 1, true), rolled("b", 1, 1, false)},
			begins:  "running: Deployment is running but requires manual promotion a(1 0/1/1) b(1 0/1/1)",
			promote: []string{},
			end:     "successful: Deployment completed successfully a(1 1/1/1 promoted) b(1 1/1/1 promoted)",
		},
		"blue-green beside one canary": {
			groups:  []*api.TaskGroup{rolled("a", 2, 2, false), rolled("b", 2, 1, false)},
			begins:  "running: Deployment is running but requires manual promotion a(2 0/2/2) b(1 0/1/2)",
			promote: []string{"a"},
			end:     "running: Deployment is running but requires manual promotion a(2 2/2/2 promoted) b(1 1/1/2)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, []string{"a"}, func(c *cluster) {
				c.register(groupsJob("a", tc.groups...))
				c.settled()
				c.register(groupsJob("b", tc.groups...))
				c.want("registered", tc.begins)
				if tc.promote != nil {
					c.heal()
					pass(2 * time.Second)
					if tc.when != "" {
						c.want("healthy", tc.when)
					}
					c.promoteGroups(tc.promote...)
				}
				c.settled()
				c.want("at the end", tc.end)
			})
		})
	}
}
