package contract

import (
	"testing"

	"github.com/hashicorp/nomad/api"
)

// aclToken is the token of the Nomad that the suite starts for these tests.
const aclToken = "5f3c8a94-1b7e-4c55-9d0b-3a2f6e7d8c90"

// aclTarget returns a Nomad with ACLs.
func aclTarget(t *testing.T) *target {
	t.Helper()
	if tg := theTarget(t); given() && tg.token != "" {
		return tg
	}
	c, err := startCluster(clusterConfig{consulAddr: "127.0.0.1:1", token: aclToken})
	if err != nil {
		t.Fatalf("a Nomad with ACLs: %v; or set NOMAD_TOKEN if the Nomad at NOMAD_ADDR has ACLs", err)
	}
	return c.target
}

func TestACL(t *testing.T) {
	t.Parallel()
	tg := aclTarget(t)
	job := recordedJob(t, func(j *api.Job) { j.ID, j.Name = new("a"), new("a") })
	with := func(token string) *target {
		other := *tg
		other.token = token
		return &other
	}
	for _, name := range recordedAnswers(t, "acl") { // no_token_jobs, no_token_event_stream, …
		t.Run(name, func(t *testing.T) {
			var token, body string
			switch name {
			case "acl/bad_token":
				token = noID
			case "acl/malformed_token":
				token = "not-a-token"
			case "acl/bearer_jobs":
				token = "Bearer " + tg.token
			case "acl/no_token_register":
				body = job
			}
			with(token).answers(t, name, body)
		})
	}
	t.Run("what_changes_is_403", func(t *testing.T) {
		for _, token := range []string{"", noID} {
			with(token).wants(t, "PUT", "/v1/job/a/plan", job, 403, "Permission denied")
			with(token).wants(t, "DELETE", "/v1/job/a", "", 403, "Permission denied")
		}
	})
	t.Run("the_token_serves", func(t *testing.T) {
		if status, body, _ := tg.call(t, "GET", "/v1/jobs", ""); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	})
}
