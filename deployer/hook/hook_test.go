package hook

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/rollout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var rec = rollout.Record{
	ID: "r1", Model: "iris", Release: "v2-bbbbbbbb", Stable: "v1-aaaaaaaa", Phase: rollout.Baking, Step: 1, Weight: 50,
	Job: json.RawMessage(`{"secret":true}`),
}

func shell(script string) rollout.Hook {
	return rollout.Hook{
		Name: "h", On: rollout.HookStep, Command: []string{"/bin/sh", "-c", script}, Timeout: rollout.Duration(20 * time.Second),
	}
}

func TestCommand(t *testing.T) {
	for name, tt := range map[string]struct{ script, said, err string }{
		"environment": {
			"echo $WEIR_MODEL $WEIR_RELEASE $WEIR_STABLE $WEIR_MOMENT $WEIR_STEP $WEIR_WEIGHT",
			"iris v2-bbbbbbbb v1-aaaaaaaa step 2 50", "",
		},
		"record":     {`grep -c '"id":"r1"'`, "1", ""},
		"no secrets": {`grep -c secret || true`, "0", ""},
		"failure":    {"echo too slow >&2; exit 3", "too slow", "/bin/sh: exit status 3"},
		"many words": {"yes | head -c 100000; echo end", "end", ""},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := Run(t.Context(), shell(tt.script), rec)
			if !strings.HasSuffix(said, tt.said) || len(said) > maxSaid {
				t.Errorf("said %q, want %q", said, tt.said)
			}
			if got := text(err); got != tt.err {
				t.Errorf("error %q, want %q", got, tt.err)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestACommandThatHangsIsKilledWithItsChildren(t *testing.T) {
	h := shell("sleep 60 & wait")
	h.Timeout = rollout.Duration(100 * time.Millisecond)
	if _, err := Run(t.Context(), h, rec); text(err) != "it took longer than 100ms" {
		t.Errorf("error %v", err)
	}
}

func TestACommandThatIsNotThere(t *testing.T) {
	h := shell("")
	h.Command = []string{"/nonexistent/command"}
	if _, err := Run(t.Context(), h, rec); !strings.HasPrefix(text(err), "start /nonexistent/command: ") {
		t.Errorf("error %v", err)
	}
}

func TestURL(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + string(b)
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = io.WriteString(w, "noted\n")
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	h := rollout.Hook{Name: "h", On: rollout.HookPost, URL: srv.URL, Timeout: rollout.DefaultHookTimeout}
	if said, err := Run(t.Context(), h, rec); said != "noted" || err != nil {
		t.Errorf("said %q, %v", said, err)
	}
	if !strings.HasPrefix(got, `POST {"moment":"post","record":{`) || strings.Contains(got, "secret") {
		t.Errorf("the server got %s", got)
	}
	h.URL += "/no"
	if said, err := Run(t.Context(), h, rec); said != "noted" || !strings.HasSuffix(text(err), "409 Conflict") {
		t.Errorf("said %q, %v", said, err)
	}
	if err := Notify(t.Context(), srv.URL, rec); err != nil {
		t.Error(err)
	}
}
