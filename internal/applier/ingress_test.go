package applier

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// A first start with an empty Consul: nginx is up and says that no release serves. Then traffic follows the record.
func TestFollowsTheRecord(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.start()
	if a := r.get("/health"); a.status != http.StatusServiceUnavailable {
		t.Errorf("with an empty Consul: %d %s, want 503", a.status, a.body)
	}
	r.serve("iris", blue, false)
	r.serve("iris", green, true)
	r.await("the instances without a record serve", 5*time.Second, func() bool { return r.get("/health").status == 200 })
	if got := r.split("/health", 20); got[blue] != 20 {
		t.Errorf("without a record: %v, want only %s", got, blue)
	}
	r.awaitEpoch("iris", "0/-")
	r.setStable("iris", blue)
	r.awaitEpoch("iris", "1/-")
	r.setCanary("iris", green, 50)
	r.awaitEpoch("iris", "1/2")
	if got := r.split("/models/iris/health", 200); got[green] < 60 || got[green] > 140 {
		t.Errorf("at 50 %%: %v", got)
	}
	r.setCanary("iris", green, 100)
	r.awaitEpoch("iris", "1/3")
	if got := r.split("/health", 50); got[green] != 50 {
		t.Errorf("at 100 %%: %v", got)
	}
	if _, err := r.consul.KV().Delete(traffic.CanaryKey("iris"), nil); err != nil {
		t.Fatal(err)
	}
	r.awaitEpoch("iris", "1/-")
	if got := r.split("/health", 50); got[blue] != 50 {
		t.Errorf("after the canary key is gone: %v, want only %s", got, blue)
	}
}

// What requests are told that can't be sent anywhere, and how paths and headers reach the instance.
func TestRequests(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.serve("iris", blue, false)
	r.serve("iris", green, true)
	r.serve("wine", blue, false)
	r.setStable("iris", blue)
	r.setStable("wine", traffic.NoRelease)
	r.start()
	r.awaitEpoch("wine", "2/-")
	for _, c := range []struct {
		name, path string
		header     []string
		status     int
		body       string
		release    string
	}{
		{"the default model is the first", "/health", nil, 200, "GET /health ", blue},
		{"the prefix goes, the rest stays as it was sent", "/models/iris/a%2Fb//c?x=%201&y", nil, 200, "GET /a%2Fb//c?x=%201&y ", blue},
		{"a model's root", "/models/iris", nil, 200, "GET / ", blue},
		{"a model's root with a query", "/models/iris?x=1", nil, 200, "GET /?x=1 ", blue},
		{"an unknown model", "/models/none/health", nil, 404, "unknown model", ""},
		{"no model named", "/models/", nil, 404, "unknown model", ""},
		{"stable is none", "/models/wine/health", nil, 503, "no release serves yet", ""},
		{"a name that is longer than a model's", "/modelsx", nil, 200, "GET /modelsx ", blue},
		{"forced", "/health", []string{traffic.HeaderForce, green}, 200, "GET /health ", green},
		{"forced where stable is none", "/models/wine/", []string{traffic.HeaderForce, blue}, 200, "GET / ", blue},
		{"forced to what is not there", "/health", []string{traffic.HeaderForce, "v9-cccccccc"}, 404, traffic.HeaderForce, ""},
		{"not ours", "/weir/other", nil, 404, "/weir/status", ""},
		{"the drain is no way in", "/weir/drain", nil, 404, "not found", ""},
	} {
		a := r.get(c.path, c.header...)
		if a.status != c.status || !strings.Contains(a.body, c.body) || a.release != c.release {
			t.Errorf("%s: GET %s: %d %q from %q, want %d %q from %q", c.name, c.path, a.status, a.body, a.release, c.status, c.body, c.release)
		}
		if a.release == "" && !json.Valid([]byte(a.body)) {
			t.Errorf("%s: the answer is no JSON: %s", c.name, a.body)
		}
		if len(a.header.Get("X-Request-Id")) != 32 {
			t.Errorf("%s: X-Request-Id is %q", c.name, a.header.Get("X-Request-Id"))
		}
	}
}

// From an address that is not trusted, the header that forces a release is ignored.
func TestForceIsForTrustedAddressesOnly(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	r.serve("iris", blue, false)
	r.serve("iris", green, true)
	r.setStable("iris", blue)
	r.start()
	r.awaitEpoch("iris", "1/-")
	if a := r.get("/health", traffic.HeaderForce, green); a.release != blue {
		t.Errorf("forced from an untrusted address: %d from %s, want %s", a.status, a.release, blue)
	}
}

// A failing instance costs clients nothing: requests are tried again, and the log counts the attempts.
func TestRetries(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.serve("iris", blue, false)
	bad := r.serve("iris", green, true)
	bad.status.Store(http.StatusServiceUnavailable)
	var requestID string
	bad.seen = func(req *http.Request) { requestID = req.Header.Get("X-Request-Id") }
	r.setStable("iris", blue)
	r.setCanary("iris", green, 100)
	r.start()
	r.awaitEpoch("iris", "1/2")
	a := r.get("/predict")
	if a.status != 200 || a.release != blue {
		t.Errorf("with a canary that answers 503: %d from %s, want 200 from its backup %s", a.status, a.release, blue)
	}
	r.checkLog(r.awaitLog("/predict"), "503, 200")
	bad.kill()
	if a := r.get("/again"); a.status != 200 || a.release != blue {
		t.Errorf("with a dead canary: %d from %s, want 200 from its backup %s", a.status, a.release, blue)
	}
	r.checkLog(r.awaitLog("/again"), "502, 200")
	if requestID == "" || requestID != a.header.Get("X-Request-Id") {
		t.Errorf("request id at the instance %q, at the client %q", requestID, a.header.Get("X-Request-Id"))
	}
}

// checkLog checks the log's line about a request that the canary did not answer and its backup did.
func (r *rig) checkLog(line map[string]string, upstreamStatus string) {
	r.t.Helper()
	want := map[string]string{
		"model": "iris", "release": green, "answered_by": blue, "status": "200", "attempts": "2", "upstream_status": upstreamStatus,
	}
	for key, value := range want {
		if line[key] != value {
			r.t.Errorf("access log: %s is %q, want %q; the line: %v", key, line[key], value, line)
		}
	}
}

// awaitLog returns the line of the access log about a path: nginx writes it after the answer.
func (r *rig) awaitLog(uri string) map[string]string {
	r.t.Helper()
	var line map[string]string
	r.await("a line about "+uri+" in the access log", 5*time.Second, func() bool {
		text, err := os.ReadFile(filepath.Join(r.cfg.StateDir, "nginx/logs/access.log"))
		if err != nil {
			r.t.Fatal(err)
		}
		for found := range strings.Lines(string(text)) {
			line = nil
			if err := json.Unmarshal([]byte(found), &line); err != nil {
				r.t.Fatalf("access log: %v: %s", err, found)
			}
			if line["uri"] == uri {
				return true
			}
		}
		return false
	})
	return line
}

// A log that has grown too large is put aside, and nginx goes on in a new one.
func TestLogsAreRotated(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.LogMax = 2000
	r.serve("iris", blue, false)
	r.setStable("iris", blue)
	r.start()
	r.awaitEpoch("iris", "1/-")
	r.split("/many", 20)
	r.await("the log is put aside", 5*time.Second, func() bool {
		_, err := os.Stat(filepath.Join(r.cfg.StateDir, "nginx/logs/access.log.1"))
		return err == nil
	})
	r.await("nginx writes a new log", 5*time.Second, func() bool {
		r.get("/after")
		text, err := os.ReadFile(filepath.Join(r.cfg.StateDir, "nginx/logs/access.log"))
		return err == nil && strings.Contains(string(text), "/after")
	})
}

// Garbage under one model's keys leaves it as it was, is told, and does not touch another model.
func TestGarbage(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	for _, model := range []string{"iris", "wine"} {
		r.serve(model, blue, false)
		r.serve(model, green, true)
		r.setStable(model, blue)
	}
	r.start()
	r.awaitEpoch("iris", "1/-")
	for _, bad := range []string{
		"", "null", "{", `{"release":"a; } server { listen 1; } #-aaaaaaaa","epoch":9}`, "\xff\xfe", `{"release":"` + green + `"}`,
	} {
		r.put(traffic.StableKey("iris"), bad)
		epoch := r.setStable("wine", green)
		r.awaitEpoch("wine", traffic.ServedEpoch(epoch, nil))
		if got := r.split("/models/iris/", 5); got[blue] != 5 || r.status().Epoch["iris"] != "1/-" {
			t.Errorf("with stable = %q: iris is served by %v at %s", bad, got, r.status().Epoch["iris"])
		}
	}
	r.put("weir/traffic/iris/../../x/stable", "{}")
	r.put("weir/traffic/iris/other", "{}")
	epoch := r.setStable("iris", green)
	r.awaitEpoch("iris", traffic.ServedEpoch(epoch, nil))
	if got := r.split("/models/iris/", 5); got[green] != 5 {
		t.Errorf("after the garbage: %v, want only %s", got, green)
	}
	if log := r.logText(); !strings.Contains(log, "the stable key is not as wanted") {
		t.Error("the garbage is not told")
	}
}

// An old canary key is refused; the one that is applied stays.
func TestOldEpochIsRefused(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.serve("iris", blue, false)
	r.serve("iris", green, true)
	r.setStable("iris", blue)
	r.setCanary("iris", green, 0)
	r.start()
	r.awaitEpoch("iris", "1/2")
	r.put(traffic.CanaryKey("iris"), traffic.Canary{Release: green, Weight: 100, Epoch: 2})
	r.await("the refusal is told", 5*time.Second, func() bool { return strings.Contains(r.logText(), "not above the highest seen, 2") })
	if got := r.split("/", 10); got[blue] != 10 {
		t.Errorf("with a refused canary key: %v", got)
	}
}
