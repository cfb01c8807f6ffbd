package guard

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirhq/weir/deployer/rollout"
)

func TestNotificationsTellEachPhaseInOrder(t *testing.T) {
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(b), `"phase":"`)
		phase, _, _ := strings.Cut(rest, `"`)
		got = append(got, phase)
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	rec := rollout.Record{Phase: rollout.Pending, Spec: rollout.Spec{Notify: []string{"http://127.0.0.1:1/", srv.URL}}}
	n := newNotifier(t.Context(), rec, slog.New(slog.DiscardHandler))
	for _, p := range []rollout.Phase{rollout.Pending, rollout.Placing, rollout.Placing, rollout.Baking, rollout.Done} {
		rec.Phase = p
		n.changed(rec)
	}
	n.close()
	if strings.Join(got, " ") != "Placing Baking Done" {
		t.Errorf("told %v, want each phase once, and an address that does not answer to hold nobody up", got)
	}
}
