package guard

import (
	"context"

	"github.com/weirhq/weir/deployer/rollout"
)

// Submit stores a new record for whoever guards all rollouts: it takes the lease, stores the record, and gives the lease
// up. ErrUnderWay where another rollout of the model is not over.
func (g *Guard) Submit(ctx context.Context, rec rollout.Record) (rollout.Record, error) {
	lease, err := g.acquire(ctx, rec.Model)
	if err != nil {
		return rec, err
	}
	defer lease.Release(context.WithoutCancel(ctx))
	stored, err := g.create(ctx, rec)
	return stored.Record, err
}
