package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// One canary for two instances is refused where it would get more than its half of the requests, unless that is forced. The
// promote then has Nomad replace the other old instance, while all requests go to the new release: none is lost.
func TestFewerCanariesThanInstances(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	few := ship("v1.1.0", append(quick, "--canaries", "1")...)
	if out, code := s.deployer(few...); code != 1 || !strings.Contains(out, "step 3: 100 % of the requests are too much for 1 instances") {
		t.Errorf("exit code %d, want 1 for a step above the canary's share; it said %s", code, out)
	}
	deploy, said := s.overheard(ship("v1.1.0", "--steps", "30,100", "--bake", "5s", "--watch", "1s", "--canaries", "1", "--force")...)
	s.await(time.Minute, "30 %", in(rollout.Baking, 0))
	if out, code := s.deployer("weights", model, "80"); code != 1 || !strings.Contains(out, "refused: 80 % of the requests are too much") {
		t.Errorf("a weight by hand above the share: exit code %d, want 1; it said %s", code, out)
	}
	s.exits(deploy, 0)
	for _, want := range []string{"warning: 1 of 2 instances carry all requests", "by force: 100 %", "places 1 instances"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the deploy does not say %q:\n%s", want, said)
		}
	}
	second := s.releaseOf("v1.1.0")
	s.serves(l, second)
	noLoss(t, l.Stop())
	s.stable(second)
	if n := len(s.pids(second)); n != 2 {
		t.Errorf("%d instances after the promote, want 2", n)
	}
}

// While a rollout is under way Nomad refuses to scale its job, and a registration with another count takes the rollout
// back without a loss.
func TestScalingDuringARollout(t *testing.T) {
	s := startBeside(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	deploy := s.background(ship("v1.1.0", "--steps", "50,100", "--bake", "1m")...)
	s.await(time.Minute, "50 %", in(rollout.Baking, 0))

	n := s.nomadAPI()
	three := 3
	_, _, err := n.Jobs().Scale(model, "inference", &three, "more", false, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "job scaling blocked due to active deployment") {
		t.Errorf("scaling in a rollout: %v, want that it is blocked", err)
	}
	job, _, err := n.Jobs().Info(model, nil)
	if err != nil {
		t.Fatal(err)
	}
	job.TaskGroups[0].Count = &three
	if _, _, err := n.Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	if err := deploy.Wait(); deploy.ProcessState.ExitCode() != 3 {
		t.Errorf("the deploy: %v, want exit code 3", err)
	}
	s.serves(l, first)
	noLoss(t, l.Stop())
	rec, _, err := s.consul.Active(t.Context(), model)
	if err != nil || rec.Phase != rollout.RolledBack {
		t.Fatalf("record in phase %s, %v", rec.Phase, err)
	}
	t.Logf("because %s", rec.Reason)
	s.stable(first)
}

// overheard is background with what the command says, to be read when it has ended.
func (s *system) overheard(args ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	cmd, said := s.command(args...), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd, said
}
