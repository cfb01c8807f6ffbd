package nomad

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/rollout"
)

// Bounds of the evidence of one rollout: its record must fit into Consul.
const (
	maxAllocs = 3
	maxEvents = 12
	maxLog    = 4 << 10
)

// Evidence returns what the allocations of an attempt left behind: of at most three, those that ended badly first,
// their status, their tasks' last events and the last lines of standard error. Where a log can't be read, it says so.
func (c *Client) Evidence(ctx context.Context, model, attempt string) ([]rollout.AllocEvidence, error) {
	versions, _, _, err := c.api.Jobs().Versions(model, false, read(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the versions of job %q: %w", model, err)
	}
	meta := metaByVersion(versions)
	stubs, _, err := c.api.Jobs().Allocations(model, false, read(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the allocations of job %q: %w", model, err)
	}
	stubs = slices.DeleteFunc(stubs, func(a *api.AllocationListStub) bool {
		return meta[a.JobVersion][MetaAttempt] != attempt
	})
	slices.SortStableFunc(stubs, func(a, b *api.AllocationListStub) int { return badness(b) - badness(a) })
	var out []rollout.AllocEvidence
	for _, a := range stubs[:min(len(stubs), maxAllocs)] {
		out = append(out, c.evidenceOf(ctx, a))
	}
	return out, nil
}

// badness orders allocations by how much there is to learn from them.
func badness(a *api.AllocationListStub) int {
	switch {
	case a.ClientStatus == api.AllocClientStatusFailed, a.ClientStatus == api.AllocClientStatusLost:
		return 3
	case Trouble(a.ID, a.ClientStatus, a.TaskStates) != "":
		return 2
	case a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && !*a.DeploymentStatus.Healthy:
		return 1
	}
	return 0
}

func (c *Client) evidenceOf(ctx context.Context, a *api.AllocationListStub) rollout.AllocEvidence {
	e := rollout.AllocEvidence{ID: a.ID, Node: a.NodeName, Status: a.ClientStatus}
	for task, state := range a.TaskStates {
		for _, event := range state.Events[max(0, len(state.Events)-maxEvents):] {
			at := time.Unix(0, event.Time).UTC().Format(time.TimeOnly)
			e.Events = append(e.Events, fmt.Sprintf("%s %s: %s: %s", at, task, event.Type, event.DisplayMessage))
		}
		e.Log += c.logOf(ctx, a.ID, task)
	}
	return e
}

// logOf returns the end of what a task wrote to its standard error.
func (c *Client) logOf(ctx context.Context, alloc, task string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	q := read(ctx)
	q.Params = map[string]string{
		"task": task, "type": "stderr", "origin": "end", "offset": fmt.Sprint(maxLog), "plain": "true", "follow": "false",
	}
	body, err := c.api.Raw().Response("/v1/client/fs/logs/"+alloc, q)
	if err != nil {
		return fmt.Sprintf("the log of task %s can't be read: %v", task, err)
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(io.LimitReader(body, maxLog))
	if err != nil {
		return fmt.Sprintf("the log of task %s can't be read: %v", task, err)
	}
	return strings.ToValidUTF8(string(b), "?")
}
