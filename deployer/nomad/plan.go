package nomad

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// Plan is what Nomad would do with a job. It changes nothing.
type Plan struct {
	Diff     []string          `json:"diff"`     // changed fields, like "Task \"server\" Env[MODEL_VERSION]: \"v1\" → \"v2\""
	Updates  map[string]uint64 `json:"updates"`  // allocations by what becomes of them: place, canary, stop, ignore, …
	NoRoom   []string          `json:"no_room"`  // why instances can't be placed
	Warnings string            `json:"warnings"` // of the jobspec
}

// Plan asks Nomad what it would do with a job document.
func (c *Client) Plan(ctx context.Context, document json.RawMessage) (Plan, error) {
	job, err := decode(document)
	if err != nil {
		return Plan{}, err
	}
	res, _, err := c.api.Jobs().PlanOpts(job, &api.PlanOptions{Diff: true}, write(ctx))
	if err != nil {
		if said, ok := Refused(err); ok {
			return Plan{}, fmt.Errorf("plan job %q: %s", *job.ID, said)
		}
		return Plan{}, fmt.Errorf("plan job %q: %w", *job.ID, err)
	}
	p := Plan{Updates: map[string]uint64{}, Warnings: strings.TrimSpace(res.Warnings)}
	if res.Diff != nil {
		p.Diff = jobDiff(res.Diff)
	}
	if res.Annotations != nil {
		for _, u := range res.Annotations.DesiredTGUpdates {
			count(p.Updates, u)
		}
	}
	for group, m := range res.FailedTGAllocs {
		p.NoRoom = append(p.NoRoom, noRoom(group, m))
	}
	slices.Sort(p.NoRoom)
	return p, nil
}

func count(to map[string]uint64, u *api.DesiredUpdates) {
	for what, n := range map[string]uint64{
		"place": u.Place, "canary": u.Canary, "stop": u.Stop, "migrate": u.Migrate, "ignore": u.Ignore,
		"in-place update": u.InPlaceUpdate, "destructive update": u.DestructiveUpdate,
	} {
		if n > 0 {
			to[what] += n
		}
	}
}

func noRoom(group string, m *api.AllocationMetric) string {
	var why []string
	for what, n := range m.DimensionExhausted {
		why = append(why, fmt.Sprintf("%s exhausted on %d nodes", what, n))
	}
	for what, n := range m.ConstraintFiltered {
		why = append(why, fmt.Sprintf("constraint %q leaves %d nodes out", what, n))
	}
	slices.Sort(why)
	return fmt.Sprintf("group %q: %d more instances find no place: %s", group, m.CoalescedFailures+1,
		strings.Join(append(why, fmt.Sprintf("%d nodes were looked at", m.NodesEvaluated)), ", "))
}

// jobDiff lists the changed fields, each with where it is.
func jobDiff(d *api.JobDiff) []string {
	out := fieldDiff("", d.Fields, d.Objects)
	for _, g := range d.TaskGroups {
		at := fmt.Sprintf("Group %q ", g.Name)
		out = append(out, fieldDiff(at, g.Fields, g.Objects)...)
		for _, t := range g.Tasks {
			out = append(out, fieldDiff(fmt.Sprintf("Task %q ", t.Name), t.Fields, t.Objects)...)
		}
	}
	return out
}

func fieldDiff(at string, fields []*api.FieldDiff, objects []*api.ObjectDiff) []string {
	var out []string
	for _, f := range fields {
		if f.Type != "None" {
			out = append(out, fmt.Sprintf("%s%s: %q → %q", at, f.Name, f.Old, f.New))
		}
	}
	for _, o := range objects {
		if o.Type != "None" {
			out = append(out, fieldDiff(at+o.Name+" ", o.Fields, o.Objects)...)
		}
	}
	return out
}
