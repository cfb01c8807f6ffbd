package nomad

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// Register registers a job document if the job's modify index is still the one of the look (0: there is no job).
func (c *Client) Register(ctx context.Context, document json.RawMessage, modifyIndex uint64) error {
	job, err := decode(document)
	if err != nil {
		return err
	}
	if _, _, err := c.api.Jobs().EnforceRegister(job, modifyIndex, write(ctx)); err != nil {
		if said, ok := Refused(err); ok {
			return fmt.Errorf("register job %q: %s", *job.ID, said)
		}
		return fmt.Errorf("register job %q: %w", *job.ID, err)
	}
	return nil
}

func decode(document json.RawMessage) (*api.Job, error) {
	var job api.Job
	if err := json.Unmarshal(document, &job); err != nil {
		return nil, fmt.Errorf("read the record's job: %w", err)
	}
	return &job, nil
}

// Promote promotes a deployment. Where Nomad says no, Refused knows what it said.
func (c *Client) Promote(ctx context.Context, id string) error {
	if _, _, err := c.api.Deployments().PromoteAll(id, write(ctx)); err != nil {
		return fmt.Errorf("promote deployment %s: %w", id, err)
	}
	return nil
}

// Fail marks a deployment as failed. With auto_revert Nomad then goes back to the job's newest stable version.
func (c *Client) Fail(ctx context.Context, id string) error {
	if _, _, err := c.api.Deployments().Fail(id, write(ctx)); err != nil {
		return fmt.Errorf("fail deployment %s: %w", id, err)
	}
	return nil
}

// Restore makes an old version of a job the current one, if current is still the version of the look.
func (c *Client) Restore(ctx context.Context, model string, version, current uint64) error {
	if _, _, err := c.api.Jobs().Revert(model, version, &current, write(ctx), "", ""); err != nil {
		return fmt.Errorf("revert job %q to version %d: %w", model, version, err)
	}
	return nil
}

// Stop stops a job and keeps its history.
func (c *Client) Stop(ctx context.Context, model string) error {
	if _, _, err := c.api.Jobs().Deregister(model, false, write(ctx)); err != nil {
		return fmt.Errorf("stop job %q: %w", model, err)
	}
	return nil
}

// SpecOf returns the newest job version of a release, as a document to register anew; nil where there is none left.
func (c *Client) SpecOf(ctx context.Context, model, release string) (*api.Job, error) {
	versions, _, _, err := c.api.Jobs().Versions(model, false, read(ctx))
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the versions of job %q: %w", model, err)
	}
	want := newestOf(versions, release)
	for _, j := range versions {
		if want != nil && *j.Version == *want {
			return j, nil
		}
	}
	return nil, nil
}
