package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// Previous returns the record of a rollout that goes back to an earlier release, in one switch: to the named one, or, with
// an empty name, to the one that was stable before. It changes nothing.
func Previous(ctx context.Context, n *nomad.Client, c *consul.Client, model, to, by string) (rollout.Record, error) {
	keys, err := c.Traffic(ctx, model)
	if err != nil {
		return rollout.Record{}, err
	}
	if to == "" {
		if keys.Stable == nil || keys.Stable.Previous == "" || keys.Stable.Previous == traffic.NoRelease {
			return rollout.Record{}, fmt.Errorf("revert %s: %w; deploy the one you want", model, ErrNoPrevious)
		}
		to = keys.Stable.Previous
	}
	spec, err := rollout.NewSpec(rollout.StrategyBlueGreen, nil, 0, 0)
	if err != nil {
		return rollout.Record{}, err
	}
	last, _, err := c.Active(ctx, model)
	if err != nil {
		return rollout.Record{}, err
	}
	spec.Namespace, spec.Region, spec.Datacenter = last.Spec.Namespace, last.Spec.Region, last.Spec.Datacenter
	if n, err = n.In(nomad.PlaceOf(spec)); err != nil {
		return rollout.Record{}, err
	}
	job, err := jobOf(ctx, n, c, model, to)
	if err != nil {
		return rollout.Record{}, err
	}
	fullSize(job) // all requests go there in one switch
	return Fill(Blank(model, by), job, spec)
}

// The reasons why there is nothing to go back to.
var (
	ErrNoPrevious = errors.New("no release before the stable one is recorded")
	ErrUnknown    = errors.New("neither Nomad nor the history knows the release")
)

// jobOf finds the job document of a release: among the versions that Nomad keeps, or in the history.
func jobOf(ctx context.Context, n *nomad.Client, c *consul.Client, model, release string) (*api.Job, error) {
	job, err := n.SpecOf(ctx, model, release)
	if err != nil || job != nil {
		return job, err
	}
	records, err := c.History(ctx, model)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Release == release && len(r.Job) > 0 {
			return JobIn(r.Record)
		}
	}
	return nil, fmt.Errorf("revert %s to %s: %w; `deployer history %s` lists those that are known", model, release,
		ErrUnknown, model)
}

// JobIn is the job that a rollout registered.
func JobIn(r rollout.Record) (*api.Job, error) {
	var job api.Job
	if err := json.Unmarshal(r.Job, &job); err != nil {
		return nil, fmt.Errorf("read the job of rollout %s: %w", r.ID, err)
	}
	return &job, nil
}
