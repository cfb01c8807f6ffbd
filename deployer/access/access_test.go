package access

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a file of tokens with the given lines.
func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(`{"tokens":[`+strings.Join(lines, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

func token(t *testing.T, name string, role Role, models ...string) (secret, line string) {
	t.Helper()
	secret, line, err := NewToken(Principal{Name: name, Role: role, Models: models})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(line, secret) {
		t.Fatal("the token itself is in its line")
	}
	return secret, line
}

func gate(t *testing.T, lines ...string) (*Gate, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens.json")
	write(t, file, lines...)
	tokens, err := OpenTokens(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGate("0.0.0.0:1", tokens)
	if err != nil {
		t.Fatal(err)
	}
	return g, file
}

func request(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://weir.example/api", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestBearer(t *testing.T) {
	secret, line := token(t, "ann", Operator, "iris", "fraud-*")
	g, file := gate(t, line)
	p, err := g.Recognise(request("POST", "Authorization", "Bearer "+secret))
	if err != nil || p.Name != "ann" {
		t.Fatalf("%+v, %v", p, err)
	}
	for model, want := range map[string]bool{"iris": true, "fraud-eu": true, "iris2": false, "churn": false} {
		if p.Sees(model) != want {
			t.Errorf("sees %s: %t", model, !want)
		}
	}
	if !p.May(Viewer) || !p.May(Operator) || p.May(Admin) {
		t.Error("wrong role")
	}
	if _, err := g.Recognise(request("GET")); !errors.Is(err, ErrNobody) {
		t.Errorf("without a token: %v", err)
	}
	// A revoked token counts no more; a broken file changes nothing.
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Recognise(request("GET", "Authorization", "Bearer "+secret)); err != nil {
		t.Errorf("after a broken write: %v", err)
	}
	_, other := token(t, "bob", Viewer, "*")
	write(t, file, other)
	if _, err := g.Recognise(request("GET", "Authorization", "Bearer "+secret)); !errors.Is(err, ErrNobody) {
		t.Errorf("with a revoked token: %v", err)
	}
}

func TestSession(t *testing.T) {
	secret, line := token(t, "ann", Operator, "*")
	g, file := gate(t, line)
	w := httptest.NewRecorder()
	if _, err := g.Login(w, request("POST"), secret); err != nil {
		t.Fatal(err)
	}
	set := w.Result().Cookies()[0]
	if !set.HttpOnly || set.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %v", set)
	}
	with := func(method string, headers ...string) *http.Request {
		r := request(method, headers...)
		r.AddCookie(&http.Cookie{Name: Cookie, Value: set.Value})
		return r
	}
	csrf := g.CSRF(with("GET"))
	for name, tc := range map[string]struct {
		r    *http.Request
		want error
	}{
		"read":                {with("GET"), nil},
		"act":                 {with("POST", HeaderCSRF, csrf), nil},
		"act without token":   {with("POST"), ErrOrigin},
		"act with wrong one":  {with("POST", HeaderCSRF, csrf+"x"), ErrOrigin},
		"act from other site": {with("POST", HeaderCSRF, csrf, "Sec-Fetch-Site", "cross-site"), ErrOrigin},
		"act of other origin": {with("POST", HeaderCSRF, csrf, "Origin", "http://evil.example"), ErrOrigin},
	} {
		if _, err := g.Recognise(tc.r); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	now := time.Now()
	g.sessions.now = func() time.Time { return now.Add(SessionLife) }
	if _, err := g.Recognise(with("GET")); !errors.Is(err, ErrNobody) {
		t.Errorf("an old session: %v", err)
	}
	g.sessions.now = time.Now
	_, other := token(t, "bob", Viewer, "*")
	write(t, file, other)
	if _, err := g.Recognise(with("GET")); !errors.Is(err, ErrNobody) {
		t.Errorf("a session of a revoked token: %v", err)
	}
	write(t, file, line)
	g.Logout(httptest.NewRecorder(), with("POST"))
	if _, err := g.Recognise(with("GET")); !errors.Is(err, ErrNobody) {
		t.Errorf("after the logout: %v", err)
	}
}

func TestLimit(t *testing.T) {
	secret, line := token(t, "ann", Viewer, "*")
	g, _ := gate(t, line)
	now := time.Now()
	g.limit.now = func() time.Time { return now }
	var limited *LimitError
	for i := range maxFailures + 1 {
		_, err := g.Login(httptest.NewRecorder(), request("POST"), "wrong")
		if errors.As(err, &limited) != (i == maxFailures) {
			t.Errorf("try %d: %v", i, err)
		}
	}
	if _, err := g.Recognise(request("GET", "Authorization", "Bearer "+secret)); !errors.As(err, &limited) {
		t.Errorf("the right token after too many wrong ones: %v", err)
	}
	elsewhere := request("GET", "Authorization", "Bearer "+secret)
	elsewhere.RemoteAddr = "[2001:db8::1]:9"
	if _, err := g.Recognise(elsewhere); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	now = now.Add(per)
	if _, err := g.Login(httptest.NewRecorder(), request("POST"), secret); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:8088", ":8088", "192.0.2.1:8088", "weir.example:8088", "[::]:1"} {
		if _, err := NewGate(listen, nil); err == nil {
			t.Errorf("%s serves without tokens", listen)
		}
	}
	g, err := NewGate("127.0.0.1:8088", nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, ok := range map[string]bool{
		"127.0.0.1:8088": true, "localhost:8088": true, "[::1]:8088": true, "evil.example:8088": false, "": false,
	} {
		r := request("GET")
		r.Host = host
		if _, err := g.Recognise(r); (err == nil) != ok {
			t.Errorf("host %q: %v", host, err)
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	_, good := token(t, "ann", Viewer, "*")
	for name, line := range map[string]string{
		"role":  strings.Replace(good, "viewer", "king", 1),
		"hash":  strings.Replace(good, `"sha256":"`, `"sha256":"z`, 1),
		"name":  strings.Replace(good, "ann", "", 1),
		"glob":  strings.Replace(good, `"*"`, `"["`, 1),
		"globs": strings.Replace(good, `"*"`, "", 1),
		"empty": "",
	} {
		file := filepath.Join(t.TempDir(), "tokens.json")
		write(t, file, line)
		if _, err := OpenTokens(file, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
