// Package deploy turns what a user gives, a model file and a version, into the record of a rollout.
package deploy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/internal/release"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/jobs"
)

// Options are what a user gives.
type Options struct {
	Model    string
	Version  string
	Artifact string // path of the model file, or a URL that Nomad fetches
	Digest   string // sha256:<hex>; computed where Artifact is a file
	Count    int    // instances; 0: as many as stable has, or the jobspec's default
	Canaries int    // instances beside the stable ones; 0: what the jobspec says, Count by default
	JobFile  string // a jobspec of the user's own; "": the built-in one
	VarFiles []string
	Vars     map[string]string
	Spec     rollout.Spec
	By       string
}

const schema = 1

// Prepare returns the record of a new rollout. It reads files and Consul, and changes nothing.
func Prepare(ctx context.Context, c *consul.Client, o Options) (rollout.Record, error) {
	if err := o.check(); err != nil {
		return rollout.Record{}, err
	}
	sides, err := sidesOf(ctx, c, o.Model)
	if err != nil {
		return rollout.Record{}, err
	}
	rec := Blank(o.Model, o.By)
	if o.Count == 0 {
		o.Count = sides.count
	}
	job, err := o.job(sides.free, rec.Attempt)
	if err != nil {
		return rollout.Record{}, err
	}
	if o.Spec.Count, o.Spec.Canaries, err = sizes(job); err != nil {
		return rollout.Record{}, err
	}
	o.Spec.Size(sides.count)
	return Fill(rec, job, o.Spec)
}

// Blank returns a record with a fresh id, which sorts by time, and with its attempt.
func Blank(model, by string) rollout.Record {
	now := time.Now().UTC()
	id := consul.NewID(now)
	return rollout.Record{
		Schema: schema, ID: id, Attempt: id, Model: model, By: by, Created: now, Phase: rollout.Pending, Since: now,
	}
}

// Fill puts a job into a record. The job's meta says which release it is.
func Fill(rec rollout.Record, job *api.Job, spec rollout.Spec) (rollout.Record, error) {
	if job.Meta[nomad.MetaRelease] == "" {
		return rec, fmt.Errorf("job %q has no %s in its meta: write the jobspec after jobs/inference.nomad.hcl",
			*job.ID, nomad.MetaRelease)
	}
	if err := traffic.CheckRelease(job.Meta[nomad.MetaRelease]); err != nil {
		return rec, err
	}
	if *job.ID != rec.Model {
		return rec, fmt.Errorf("the jobspec's job is %q, not %q: a model's job has the model's name", *job.ID, rec.Model)
	}
	job.SetMeta(nomad.MetaAttempt, rec.Attempt)
	var err error
	if spec.Count, spec.Canaries, err = sizes(job); err != nil {
		return rec, err
	}
	spec.Namespace = cmp.Or(spec.Namespace, deref(job.Namespace), "default")
	job.Namespace = &spec.Namespace
	if spec.Region != "" {
		job.Region = &spec.Region
	}
	rec.Release, rec.Color, rec.Spec = job.Meta[nomad.MetaRelease], job.Meta[nomad.MetaColor], spec
	if err := spec.Check(); err != nil {
		return rec, err
	}
	rec.Job, err = json.Marshal(job)
	if err != nil {
		return rec, fmt.Errorf("write job %q: %w", *job.ID, err)
	}
	return rec, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (o *Options) check() error {
	if err := traffic.CheckModel(o.Model); err != nil {
		return err
	}
	if strings.Contains(o.Artifact, "://") || strings.Contains(o.Artifact, "::") {
		if o.Digest == "" {
			return fmt.Errorf("artifact %s is fetched by Nomad: give its --digest, as sha256:<64 hex digits>", o.Artifact)
		}
		return nil
	}
	path, err := filepath.Abs(o.Artifact)
	if err != nil {
		return fmt.Errorf("find %s: %w", o.Artifact, err)
	}
	digest, err := release.Digest(path)
	if err != nil {
		return err
	}
	if o.Digest != "" && strings.TrimPrefix(o.Digest, "sha256:") != strings.TrimPrefix(digest, "sha256:") {
		return fmt.Errorf("%s has digest %s, not %s: it is not the file that was meant", path, digest, o.Digest)
	}
	o.Artifact, o.Digest = path, digest
	return nil
}

// job parses the jobspec with the user's variables and ours.
func (o *Options) job(color, attempt string) (*api.Job, error) {
	name, src := "inference.nomad.hcl", jobs.Inference
	if o.JobFile != "" {
		b, err := os.ReadFile(o.JobFile)
		if err != nil {
			return nil, fmt.Errorf("read the jobspec: %w", err)
		}
		name, src = o.JobFile, b
	}
	vars := jobspec.Vars{Env: os.Environ(), FileAccess: true, Flags: map[string]string{
		"model": o.Model, "model_version": o.Version, "artifact": o.Artifact, "digest": o.Digest,
		"color": color, "attempt": attempt,
	}}
	if o.Count > 0 {
		vars.Flags["count"] = strconv.Itoa(o.Count)
	}
	if o.Canaries > 0 {
		vars.Flags["canary"] = strconv.Itoa(o.Canaries)
	}
	if server := inferenceServer(); server != "" && o.JobFile == "" {
		vars.Flags["command"] = server
	}
	maps.Copy(vars.Flags, o.Vars)
	for _, f := range o.VarFiles {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read the variables: %w", err)
		}
		vars.Files = append(vars.Files, jobspec.File{Name: f, Src: b})
	}
	job, err := jobspec.Parse(name, src, vars)
	if err != nil {
		return nil, fmt.Errorf("parse the jobspec: %w", err)
	}
	job.Canonicalize()
	return job, nil
}

// inferenceServer is the server beside this program, where the jobspec's own default, bin/inference below the current
// folder, is not there. Elsewhere "" leaves it to the jobspec.
func inferenceServer() string {
	if _, err := os.Stat(filepath.Join("bin", "inference")); err == nil {
		return ""
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	beside := filepath.Join(filepath.Dir(self), "inference")
	if _, err := os.Stat(beside); err != nil {
		return ""
	}
	return beside
}

// sides is what runs of a model now.
type sides struct {
	free  string // the colour that the next release takes
	count int    // instances of the stable release; 0 where there is none
}

func sidesOf(ctx context.Context, c *consul.Client, model string) (sides, error) {
	keys, err := c.Traffic(ctx, model)
	if err != nil {
		return sides{}, err
	}
	instances, err := c.Instances(ctx, model)
	if err != nil {
		return sides{}, err
	}
	s := sides{free: "blue"}
	for _, in := range instances {
		if keys.Stable != nil && in.Release != keys.Stable.Release || keys.Stable == nil && in.Canary {
			continue
		}
		s.count++
		if in.Color == "blue" {
			s.free = "green"
		}
	}
	return s, nil
}
