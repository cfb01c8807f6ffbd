package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/internal/release"
	"github.com/weirhq/weir/jobs"
)

// An operator's verbs: a gate before the first request and after each step, a weight by hand, and going back.
func TestOperatorDecides(t *testing.T) {
	s := startBeside(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	deploy := s.background(ship("v1.1.0", append(quick, "--manual")...)...)
	held := s.await(time.Minute, "the first gate", func(r rollout.Record) bool { return r.Phase == rollout.Held })
	second := held.Release
	if c := l.Counts(); c.ByRelease[second] != 0 {
		t.Errorf("%d answers of the canary before its gate, want none", c.ByRelease[second])
	}
	if out, code := s.deployer("promote", model, "--why", "looks good"); code != 4 || !strings.Contains(out, "step 1 waits") {
		t.Errorf("promote: exit code %d, want 4: held at the next gate", code)
	}
	s.must("weights", model, "25", "--why", "a closer look")
	time.Sleep(settled) // the time itself is meant
	before := l.Counts()
	s.until(20*time.Second, "1000 answers", func() bool { return l.Counts().Sub(before).Answered() >= 1000 })
	within(t, l.Counts().Sub(before), second, 25)
	if out := s.must("status", model); !strings.Contains(out, "25 %") || !strings.Contains(out, "Held") {
		t.Errorf("status does not tell of the held 25 %%:\n%s", out)
	}
	s.must("revert", model, "--why", "seen enough")
	if err := deploy.Wait(); deploy.ProcessState.ExitCode() != 3 {
		t.Errorf("deploy: %v, want exit code 3", err)
	}
	s.serves(l, first)
	noLoss(t, l.Stop())
	s.stable(first)
	if out := s.must("history", model, "--events"); !strings.Contains(out, "seen enough") {
		t.Errorf("the history does not say why:\n%s", out)
	}
}

// runByHand registers a version as `nomad job run` would: without the deployer and without any record.
func (s *system) runByHand(version, color string) {
	s.t.Helper()
	file, err := filepath.Abs("../testdata/iris-" + version + ".pkl")
	if err != nil {
		s.t.Fatal(err)
	}
	digest, err := release.Digest(file)
	if err != nil {
		s.t.Fatal(err)
	}
	job, err := jobspec.Parse(jobs.InferenceFile, jobs.Inference, jobspec.Vars{Flags: map[string]string{
		"model": model, "model_version": version, "artifact": file, "digest": digest, "color": color,
		"command": filepath.Join(bin, "inference"),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.register(job)
}

func (s *system) register(job *api.Job) {
	s.t.Helper()
	cfg := api.DefaultConfig()
	cfg.Address = s.addr.Nomad
	n, err := api.NewClient(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := n.Jobs().Register(job, nil); err != nil {
		s.t.Fatal(err)
	}
}

// What was run by hand serves at once; the first deploy adopts it and goes on from there.
func TestDeployAdoptsWhatRunsByHand(t *testing.T) {
	s := startBeside(t)
	s.runByHand("v1.0.0", "blue")
	s.until(time.Minute, "two instances", func() bool {
		instances, err := s.consul.Instances(t.Context(), model)
		return err == nil && len(instances) == 2 && instances[0].Status == "passing" && instances[1].Status == "passing"
	})
	first := s.releaseOf("v1.0.0")
	s.until(10*time.Second, "the ingress to know the model", func() bool {
		in, err := s.consul.Ingresses(t.Context())
		return err == nil && len(in) == 1 && in["dev"].Epoch[model] == "0/-"
	})
	if out := s.must("status"); !strings.Contains(out, "not recorded") {
		t.Errorf("status does not show what runs by hand:\n%s", out)
	}
	l := s.load()
	s.serves(l, first)
	s.must(ship("v1.1.0", quick...)...)
	s.serves(l, s.releaseOf("v1.1.0"))
	noLoss(t, l.Stop())
	s.stable(s.releaseOf("v1.1.0"))
	if out := s.must(ship("v1.1.0", quick...)...); !strings.Contains(out, "stable already") {
		t.Errorf("deploying the stable release again says\n%s\nwant that there is nothing to do", out)
	}
}

// The daemon on Nomad takes a rollout over when its deployer dies.
func TestGuardJobTakesOver(t *testing.T) {
	s := startBeside(t)
	job, err := jobspec.Parse(jobs.DeployerFile, jobs.Deployer, jobspec.Vars{Flags: map[string]string{
		"command": filepath.Join(bin, "deployer"), "consul_addr": s.addr.Consul, "nomad_addr": s.addr.Nomad,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.register(job)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	s.killedAt50(t)
	s.await(2*time.Minute, "Done", func(r rollout.Record) bool {
		return r.Phase == rollout.Done && strings.HasPrefix(r.Release, "v1.1.0")
	})
	s.serves(l, s.releaseOf("v1.1.0"))
	noLoss(t, l.Stop())
	s.stable(s.releaseOf("v1.1.0"))
}
