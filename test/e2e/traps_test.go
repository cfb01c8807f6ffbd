package e2e

import (
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/rollout"
)

func (s *system) nomadAPI() *api.Client {
	s.t.Helper()
	cfg := api.DefaultConfig()
	cfg.Address = s.addr.Nomad
	n, err := api.NewClient(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// Somebody pauses Nomad's deployment in a rollout: traffic does not depend on it, and the rollout ends all the same.
func TestDeploymentPausedByHand(t *testing.T) {
	s := startBeside(t)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	deploy := s.background(ship("v1.1.0", quick...)...)
	s.await(time.Minute, "50 %", in(rollout.Baking, 1))
	n := s.nomadAPI()
	d, _, err := n.Jobs().LatestDeployment(model, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Deployments().Pause(d.ID, true, nil); err != nil {
		t.Fatal(err)
	}
	second := s.releaseOf("v1.1.0")
	if err := deploy.Wait(); err != nil {
		t.Errorf("deploy: %v", err)
	}
	s.serves(l, second)
	noLoss(t, l.Stop())
	s.stable(second)
}
