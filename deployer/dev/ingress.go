package dev

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/jobs"
)

// startIngress runs the ingress as a job and waits until its nginx answers.
func (s *system) startIngress(ctx context.Context) error {
	job, err := s.ingressSpec(ctx)
	if err != nil {
		return err
	}
	if _, _, err := s.nomad.Jobs().Register(job, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("register the ingress: %w", err)
	}
	s.addr.Ingress = "http://" + s.cfg.Listen
	err = every(ctx, 20*time.Millisecond, "the ingress to answer", func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.addr.Ingress+"/weir/status", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("%w; `nomad alloc logs` of job %q, or %s, says why", err, ingressJob, s.cfg.path("nomad"))
	}
	s.say("nginx    %s", s.addr.Ingress)
	return nil
}

// ingressSpec is the job, with the parts that this machine has.
func (s *system) ingressSpec(ctx context.Context) (*api.Job, error) {
	nginx, err := parts.Find(ctx, parts.Nginx, parts.Options{})
	if err != nil {
		return nil, err
	}
	template, err := parts.Find(ctx, parts.ConsulTemplate, parts.Options{Progress: s.cfg.Progress})
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(s.cfg.path("ingress"))
	if err != nil {
		return nil, err
	}
	job, err := jobspec.Parse("ingress.nomad.hcl", jobs.Ingress, jobspec.Vars{Flags: map[string]string{
		"command": s.cfg.Deployer, "listen": s.cfg.Listen, "node": "dev", "state_dir": dir,
		"nginx": nginx, "consul_template": template, "consul_addr": s.addr.Consul,
	}})
	if err != nil {
		return nil, fmt.Errorf("parse the ingress's jobspec: %w", err)
	}
	return job, nil
}
