package guard

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// A model's name is used once per Consul datacenter: a second one in another namespace or region is refused, as long as the
// first one's job is there.
func TestAModelThatRunsElsewhereIsRefused(t *testing.T) {
	jobs := map[string]string{
		"teams/":      `{"ID":"iris","Stop":false}`,
		"stopped/":    `{"ID":"iris","Stop":true}`,
		"teams/north": `{"ID":"iris","Stop":false}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		job, ok := jobs[q.Get("namespace")+"/"+q.Get("region")]
		if !ok {
			http.Error(w, "job not found", http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(job))
	}))
	t.Cleanup(server.Close)
	n, err := nomad.New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	g := &Guard{Nomad: n, Log: slog.New(slog.DiscardHandler)}
	in := func(namespace, region string) rollout.Record {
		return rollout.Record{ID: "r", Model: "iris", Spec: rollout.Spec{Namespace: namespace, Region: region}}
	}
	for name, tt := range map[string]struct {
		last, next rollout.Record
		refused    bool
	}{
		"the first rollout of a name":   {rollout.Record{}, in("teams", ""), false},
		"the same namespace":            {in("teams", ""), in("teams", ""), false},
		"an old record without one":     {in("", ""), in("default", ""), false},
		"another namespace":             {in("teams", ""), in("default", ""), true},
		"another region":                {in("teams", "north"), in("teams", "south"), true},
		"a region that is not told":     {in("teams", "north"), in("teams", ""), false},
		"the job there is stopped":      {in("stopped", ""), in("teams", ""), false},
		"there is no such job any more": {in("gone", ""), in("teams", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := g.elsewhere(t.Context(), tt.last, tt.next)
			if tt.refused != errors.Is(err, ErrElsewhere) || !tt.refused && err != nil {
				t.Fatalf("%v, want refused: %t", err, tt.refused)
			}
			if tt.refused && !strings.Contains(err.Error(), `namespace "teams"`) {
				t.Errorf("%v does not say where", err)
			}
		})
	}
}
