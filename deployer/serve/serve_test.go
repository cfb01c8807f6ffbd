package serve

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/parts/partstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// run serves until the test ends and returns the address, and a token where there are any.
func run(t *testing.T, withTokens bool) (base, secret string) {
	t.Helper()
	cfg := Config{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	var err error
	if cfg.Consul, err = consul.New(partstest.Consul(t).Addr); err != nil {
		t.Fatal(err)
	}
	if cfg.Nomad, err = nomad.New("http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	if withTokens {
		var line string
		p := access.Principal{Name: "ann", Role: access.Viewer, Models: []string{"*"}}
		if secret, line, err = access.NewToken(p); err != nil {
			t.Fatal(err)
		}
		cfg.Tokens = filepath.Join(t.TempDir(), "tokens.json")
		if err := os.WriteFile(cfg.Tokens, []byte(`{"tokens":[`+line+`]}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, func(url string) { ready <- url }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end: %v", err)
		}
	})
	select {
	case base = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return base, secret
}

// browser keeps cookies, and follows no redirect.
type browser struct {
	t       *testing.T
	base    string
	cookies []*http.Cookie
}

func (b *browser) do(method, path, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	for _, c := range b.cookies {
		req.AddCookie(c)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cookies = append(b.cookies, res.Cookies()...)
	return res, string(text)
}

func (b *browser) want(status int, method, path, body string, headers ...string) string {
	b.t.Helper()
	res, text := b.do(method, path, body, headers...)
	if res.StatusCode != status {
		b.t.Errorf("%s %s: %s, want %d: %s", method, path, res.Status, status, text)
	}
	return text
}

func TestOpen(t *testing.T) {
	base, _ := run(t, false)
	b := &browser{t: t, base: base}
	res, text := b.do("GET", "/", "")
	if res.StatusCode != http.StatusOK || !strings.Contains(text, `src="/assets/app.js"`) {
		t.Errorf("%s %s", res.Status, text)
	}
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(text, "<style") || strings.Contains(text, " style=") || strings.Contains(text, "<script>") {
		t.Error("the page has inline scripts or styles, which its policy forbids")
	}
	res, _ = b.do("GET", "/assets/app.js", "")
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Errorf("app.js as %s", kind)
	}
	b.want(304, "GET", "/assets/app.js", "", "If-None-Match", res.Header.Get("ETag"))
	b.want(404, "GET", "/assets/..%2Fdashboard.go", "")
	b.want(404, "GET", "/assets/nope.js", "")
	b.want(403, "POST", "/api/v1/models/iris/acts", `{"verb":"abort"}`, "Origin", "http://evil.example")
	b.want(409, "POST", "/api/v1/models/iris/acts", `{"verb":"abort"}`, "Content-Type", "application/json")
}

func TestLogin(t *testing.T) {
	base, secret := run(t, true)
	b := &browser{t: t, base: base}
	res, _ := b.do("GET", "/models/iris", "")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/login" {
		t.Errorf("without a session: %s to %s", res.Status, res.Header.Get("Location"))
	}
	b.want(200, "GET", "/login", "")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	if text := b.want(401, "POST", "/login", "token=wrong", form...); !strings.Contains(text, "not known") {
		t.Errorf("after a wrong token: %s", text)
	}
	b.want(403, "POST", "/login", "token="+url.QueryEscape(secret), append(form, "Sec-Fetch-Site", "cross-site")...)
	b.want(303, "POST", "/login", "token="+url.QueryEscape(secret), form...)
	b.want(200, "GET", "/models/iris", "")
	if text := b.want(200, "GET", "/api/v1/session", ""); !strings.Contains(text, `"csrf":"`) {
		t.Errorf("session %s", text)
	}
	b.want(403, "POST", "/api/v1/models/iris/acts", `{"verb":"abort"}`)
	b.want(403, "POST", "/logout", "", "Sec-Fetch-Site", "cross-site")
	b.want(303, "POST", "/logout", "")
	b.want(401, "GET", "/api/v1/models", "")
}

func TestRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"other address without tokens": {Listen: "0.0.0.0:0"},
		"no such file":                 {Listen: "127.0.0.1:0", Tokens: "/nonexistent"},
		"no address":                   {Listen: "8088"},
	} {
		cfg.Log = slog.New(slog.DiscardHandler)
		if err := Run(t.Context(), cfg, func(string) {}); err == nil {
			t.Errorf("%s: serves", name)
		}
	}
}
