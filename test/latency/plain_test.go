//go:build linux

package latency

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/test/load"
)

//go:embed plain.nomad.hcl
var plainSpec []byte

// plainTrial is one update that Nomad alone saw through.
type plainTrial struct {
	seen

	Nomad    string    `json:"nomad"`
	Fault    string    `json:"fault"`
	Release  string    `json:"release"`
	Injected time.Time `json:"injected"`
	Last     time.Time `json:"last"`       // the canary's last answer
	Back     bool      `json:"taken_back"` // else Nomad kept the faulty release
	Status   string    `json:"status"`     // of the deployment, in Nomad's words
	Failed   string    `json:"failed,omitempty"`
}

// plain is a job that Nomad alone updates, behind a balancer that follows Consul's health without any delay.
type plain struct {
	*system

	nomadName string
	model     string
	count     int
	balancer  *balancer
	load      *load.Load
	witness   *witness
}

// plain brings the job's first version up and begins to send it requests.
func (s *system) plain(model string) *plain {
	s.t.Helper()
	p := &plain{system: s, nomadName: s.nomadName(), model: model, witness: newWitness()}
	p.balancer = newBalancer(s.t, s.health, model)
	release, err := p.register(s.t.Context())
	if err == nil {
		_, err = p.settled(s.t.Context(), release)
	}
	if err != nil {
		s.t.Fatalf("bring %s up: %v", model, err)
	}
	p.load, err = load.Start(s.t.Context(), load.Config{
		URL: p.balancer.url() + "/predict", Bodies: requests, Clients: clients, Pause: pause, Each: p.witness.note,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (p *plain) close() {
	p.load.Stop()
	p.balancer.close()
}

// register gives Nomad the next version.
func (p *plain) register(ctx context.Context) (release string, err error) {
	file, err := filepath.Abs("../testdata/iris-v1.0.0.pkl")
	if err != nil {
		return "", err
	}
	p.count++
	release = fmt.Sprintf("v1.0.%d-00000000", p.count)
	job, err := jobspec.Parse("plain.nomad.hcl", plainSpec, jobspec.Vars{Flags: map[string]string{
		"model": p.model, "release": release, "artifact": file, "command": filepath.Join(bin, "faulty"),
		"args": first[len("args="):],
	}})
	if err != nil {
		return "", fmt.Errorf("parse the jobspec: %w", err)
	}
	_, _, err = p.nomad.Jobs().Register(job, (&api.WriteOptions{}).WithContext(ctx))
	return release, err
}

// try has Nomad update the job to a version that shows a fault: while Nomad has not yet decided on its health, or later.
func (p *plain) try(f fault) (tr plainTrial, ok bool) {
	tr = plainTrial{Nomad: p.nomadName, Fault: f.name}
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	if err := p.update(ctx, f, &tr); err != nil {
		tr.Failed = err.Error()
		p.t.Logf("Nomad alone, %s, %s: %v", tr.Fault, tr.Release, err)
	}
	return tr, true
}

func (p *plain) update(ctx context.Context, f fault, tr *plainTrial) (err error) {
	p.witness.end("")
	if tr.Release, err = p.register(ctx); err != nil {
		return err
	}
	if err := until(ctx, func() bool { return p.witness.answered(tr.Release) }); err != nil {
		return fmt.Errorf("wait for the canary's first answer: %w", err)
	}
	if f.late {
		if tr.Status, err = p.settled(ctx, tr.Release); err != nil {
			return err
		}
	}
	time.Sleep(time.Second/2 + rand.N(time.Second)) // the time itself is meant
	p.witness.expect(f)
	if tr.Injected, err = f.inject(ctx, p.balancer.addrs(tr.Release)); err != nil {
		return err
	}
	if f.late {
		time.Sleep(watched) // the time itself is meant
	}
	if tr.Status, err = p.settled(ctx, tr.Release); err != nil {
		return err
	}
	return p.conclude(ctx, tr)
}

// watched is how long Nomad may take to notice what fails after it called it healthy.
const watched = 10 * time.Second

// conclude sees what Nomad made of the update, and makes the job whole again.
func (p *plain) conclude(ctx context.Context, tr *plainTrial) (err error) {
	tr.Back = tr.Status == api.DeploymentStatusFailed
	if tr.Back {
		err = until(ctx, func() bool { return len(p.balancer.addrs(tr.Release)) == 0 })
		time.Sleep(time.Second) // for the answers under way; the time itself is meant
	}
	tr.seen, tr.Last = p.witness.end(tr.Release)
	for _, addr := range p.balancer.addrs(tr.Release) {
		err = errors.Join(err, control(ctx, addr, "kind=slow&delay="+answerTime.String()))
	}
	// The next update begins when the rollback is over, and a crashed instance replaced.
	_, err2 := p.settled(ctx, "")
	return errors.Join(err, err2, until(ctx, func() bool { return len(p.balancer.addrs("")) == 2 }))
}

// settled waits until the deployment of a release, or for "" the newest one, is over, and returns its status.
func (p *plain) settled(ctx context.Context, release string) (status string, err error) {
	err2 := until(ctx, func() bool {
		var id string
		if id, status, err = p.deployment(ctx, release); err != nil || id == "" {
			return err != nil
		}
		return status == api.DeploymentStatusFailed || status == api.DeploymentStatusSuccessful
	})
	if err := errors.Join(err, err2); err != nil {
		return status, fmt.Errorf("wait for the deployment of %s: it is %q: %w", release, status, err)
	}
	return status, nil
}

func (p *plain) deployment(ctx context.Context, release string) (id, status string, err error) {
	q := (&api.QueryOptions{}).WithContext(ctx)
	newest, _, err := p.nomad.Jobs().LatestDeployment(p.model, q)
	if err != nil || newest == nil {
		return "", "", err
	}
	if release == "" {
		return newest.ID, newest.Status, nil
	}
	versions, _, _, err := p.nomad.Jobs().Versions(p.model, false, q)
	if err != nil {
		return "", "", err
	}
	all, _, err := p.nomad.Jobs().Deployments(p.model, false, q)
	if err != nil {
		return "", "", err
	}
	for _, v := range versions {
		for _, d := range all {
			if d.JobVersion == *v.Version && v.TaskGroups[0].Services[0].Meta["release"] == release {
				return d.ID, d.Status, nil
			}
		}
	}
	return "", "", nil
}

// until waits for what has no event, looking at it every 50 ms.
func until(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
