package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// ErrElsewhere says that the model's name is taken by a job in another namespace or region of Nomad. Names of models are
// those of services and keys in Consul, so that each is used once per Consul datacenter.
var ErrElsewhere = errors.New("the model runs elsewhere")

// elsewhere refuses a new rollout of a model whose last one was in another place, and whose job still is there.
func (g *Guard) elsewhere(ctx context.Context, last, rec rollout.Record) error {
	was, is := nomad.PlaceOf(last.Spec), nomad.PlaceOf(rec.Spec)
	if last.ID == "" || was.Same(is) {
		return nil
	}
	there, err := g.Nomad.In(was)
	if err != nil {
		return err
	}
	runs, err := there.Runs(ctx, rec.Model)
	switch {
	case err != nil:
		return fmt.Errorf("see whether %s still runs in %s: %w", rec.Model, was, err)
	case runs:
		return fmt.Errorf("%w: %q is the name of a job in %s, and names of models are used once per Consul datacenter: "+
			"deploy it there, stop that job, or choose another name than in %s", ErrElsewhere, rec.Model, was, is)
	}
	return nil
}
