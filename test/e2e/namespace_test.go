package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// A model in a namespace of Nomad: its rollouts name it wherever they are asked for, and its name is refused elsewhere.
func TestNamespaces(t *testing.T) {
	if os.Getenv("WEIR_NOMAD") == "" {
		t.Skip("the embedded agent has the namespace default alone: WEIR_NOMAD=$(which nomad) runs this test")
	}
	s := startBeside(t)
	if _, err := s.nomadAPI().Namespaces().Register(&api.Namespace{Name: "teams"}, nil); err != nil {
		t.Fatal(err)
	}
	here := append(quick, "--namespace", "teams")
	s.must(ship("v1.0.0", here...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	s.must(ship("v1.1.0", here...)...)
	if out, code := s.deployer(ship("v1.2.0", quick...)...); code != 1 || !strings.Contains(out, `the model runs elsewhere: "iris" is the name of a job in namespace "teams"`) {
		t.Errorf("the same name in another namespace: exit code %d, want 1; it said %s", code, out)
	}
	s.must("revert", model) // the record knows where
	s.serves(l, first)
	noLoss(t, l.Stop())
	there, err := s.nomad.In(nomad.Place{Namespace: "teams"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := there.Look(t.Context(), model, "", first)
	if err != nil || v.State.Release != first || v.Stable.Running != 2 {
		t.Errorf("in the namespace Nomad has %+v, %v, want two instances of %s", v.State, err, first)
	}
	if runs, err := s.nomad.Runs(t.Context(), model); err != nil || runs {
		t.Errorf("there is a job in the namespace default: %t, %v", runs, err)
	}
	rec, _, err := s.consul.Active(t.Context(), model)
	if err != nil || rec.Phase != rollout.Done || rec.Spec.Namespace != "teams" {
		t.Errorf("the record is in phase %s, namespace %q, %v", rec.Phase, rec.Spec.Namespace, err)
	}
}
