package contract

import (
	"net/http"
	"strings"
	"testing"
)

// aclToken is the token of the Nomad that the suite starts for these tests.
const aclToken = "5f3c8a94-1b7e-4c55-9d0b-3a2f6e7d8c90"

// aclTarget returns a Nomad with ACLs. Of somebody else's the suite knows by NOMAD_TOKEN whether it has any.
func aclTarget(t *testing.T) *target {
	t.Helper()
	if given() {
		return theTarget(t)
	}
	c, err := startCluster(clusterConfig{consulAddr: "127.0.0.1:1", token: aclToken})
	if err != nil {
		t.Fatal(err)
	}
	return c.target
}

func TestACL(t *testing.T) {
	t.Parallel()
	tg := aclTarget(t)
	if tg.token == "" {
		t.Log("the Nomad at NOMAD_ADDR has no ACLs, or NOMAD_TOKEN is not set: nothing can be denied here")
		return
	}
	job := `{"Job":{"ID":"a","Type":"service","Datacenters":["dc1"],"TaskGroups":[{"Name":"g","Tasks":[` +
		`{"Name":"t","Driver":"raw_exec","Config":{"command":"/bin/true"}}]}]}}`
	for _, c := range []struct{ name, method, path, body string }{
		{"no_token_jobs", "GET", "/v1/jobs", ""},
		{"no_token_nodes", "GET", "/v1/nodes", ""},
		{"no_token_deployments", "GET", "/v1/deployments", ""},
		{"no_token_agent_self", "GET", "/v1/agent/self", ""},
		{"no_token_register", "PUT", "/v1/jobs", job},
		{"no_token_plan", "PUT", "/v1/job/a/plan", job},
		{"no_token_stop", "DELETE", "/v1/job/a", ""},
	} {
		t.Run(c.name+"_is_403", func(t *testing.T) {
			for _, token := range []string{"", "not-a-token", noID} {
				if c.path == "/v1/agent/self" && token != "" {
					continue // the agent itself answers in other words
				}
				other := *tg
				other.token = token
				other.wants(t, c.method, c.path, c.body, 403, "Permission denied")
			}
		})
	}
	none := *tg
	none.token = ""
	t.Run("event_stream_is_500", func(t *testing.T) {
		none.wants(t, "GET", "/v1/event/stream", "", 500, "Permission denied")
	})
	t.Run("health_and_leader_need_no_token", func(t *testing.T) {
		for _, path := range []string{"/v1/agent/health", "/v1/status/leader", "/v1/regions"} {
			if status, body, _ := none.call(t, "GET", path, ""); status != 200 {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
	t.Run("the_token_serves_as_header_or_bearer", func(t *testing.T) {
		if status, body, _ := tg.call(t, "GET", "/v1/jobs", ""); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tg.addr+"/v1/jobs", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tg.token)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}
