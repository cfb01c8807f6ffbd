package devnomad

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (a *Agent) deploymentRoutes() map[string]methods {
	get, put := http.MethodGet, http.MethodPut
	noID := plain(func(*http.Request) (any, error) { return nil, errors.New("missing deployment ID") })
	return map[string]methods{
		"/v1/deployments":                 {get: a.read(listDeployments)},
		"/v1/deployment/{$}":              {get: noID},
		"/v1/deployment/{id}":             {get: a.read(getDeployment)},
		"/v1/deployment/allocations/{id}": {get: a.read(deploymentAllocations)},
		"/v1/deployment/promote/{id}":     {put: a.act(a.promoteDeployment)},
		"/v1/deployment/fail/{id}":        {put: a.act(a.failByHand)},
		"/v1/deployment/pause/{id}":       {put: a.act(a.pauseDeployment)},
		"/v1/deployment/unblock/{id}":     {put: a.act(a.unblockDeployment)},
	}
}

func listDeployments(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		prefix, err := idPrefix(r)
		if err != nil {
			return nil, 0, err
		}
		keep := func(d *deployment) bool { return strings.HasPrefix(d.ID, prefix) }
		all := sorted(s.deployments, keep, compareDeployments)
		out, err := page(r, all, func(d *deployment) string { return indexToken(d.CreateIndex, d.ID) }, asStored)
		return out, s.tables["deployment"], err
	}
}

var getDeployment = byID("deployment", "deployment", func(s *store, id string) (any, uint64) {
	d := s.deployments[id]
	if d == nil {
		return nil, 0
	}
	return d, d.ModifyIndex
})

func deploymentAllocations(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		keep := func(a *api.Allocation) bool { return a.DeploymentID == r.PathValue("id") }
		return stubs(sorted(s.allocs, keep, compareAllocs)), s.tables["allocs"], nil
	}
}

// deploymentVerb runs a verb on a deployment that has not ended.
func (a *Agent) deploymentVerb(id, verb, kind string, do func(*txn, *deployment) (deploymentResult, error)) (any, uint64, error) {
	var out deploymentResult
	index, err := a.write(kind, func(tx *txn) error {
		d, err := tx.open(id, verb)
		if err != nil {
			return err
		}
		out, err = do(tx, d)
		return err
	})
	return out, index, err
}

// deploymentBody is the request of every verb.
type deploymentBody struct {
	DeploymentID string
	All          bool
	Groups       []string
	Pause        bool
}

func readDeploymentBody(r *http.Request) (deploymentBody, error) {
	var in deploymentBody
	if err := decode(r, &in); err != nil {
		return in, err
	}
	if in.DeploymentID == "" {
		return in, badRequest("DeploymentID must be specified")
	}
	if in.DeploymentID != r.PathValue("id") {
		return in, badRequest("Deployment ID does not match")
	}
	return in, nil
}

func (a *Agent) promoteDeployment(r *http.Request) (any, uint64, error) {
	in, err := readDeploymentBody(r)
	if err != nil {
		return nil, 0, err
	}
	chosen := func(group string) bool { return in.All || slices.Contains(in.Groups, group) }
	return a.deploymentVerb(in.DeploymentID, "promote", "DeploymentPromotion", func(tx *txn, d *deployment) (deploymentResult, error) {
		return tx.promote(d, chosen)
	})
}

func (a *Agent) failByHand(r *http.Request) (any, uint64, error) {
	return a.deploymentVerb(r.PathValue("id"), "fail", "DeploymentStatusUpdate", func(tx *txn, d *deployment) (deploymentResult, error) {
		return tx.failDeployment(d, descMarkedFailed, d.autoReverts()), nil
	})
}

func (a *Agent) pauseDeployment(r *http.Request) (any, uint64, error) {
	in, err := readDeploymentBody(r)
	if err != nil {
		return nil, 0, err
	}
	verb := "resume"
	if in.Pause {
		verb = "pause"
	}
	return a.deploymentVerb(in.DeploymentID, verb, "DeploymentStatusUpdate", func(tx *txn, d *deployment) (deploymentResult, error) {
		return tx.pause(d, in.Pause), nil
	})
}

// unblockDeployment has nothing to do: only deployments over several regions are ever blocked.
func (a *Agent) unblockDeployment(r *http.Request) (any, uint64, error) {
	in, err := readDeploymentBody(r)
	if err != nil {
		return nil, 0, err
	}
	a.store.read(func() {
		switch d := a.store.deployments[in.DeploymentID]; {
		case d == nil:
			err = errNoDeployment
		case !d.active():
			err = errors.New("can't unblock terminal deployment")
		}
	})
	return deploymentResult{}, 0, err
}
