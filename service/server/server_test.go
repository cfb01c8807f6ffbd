package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	iris     = "../../test/testdata/iris-v1.0.0.pkl"
	fixtures = "../testdata/sklearn-1.2.1/"
)

// settings reads a config as the program does.
func settings(t testing.TB, path string, more ...string) config.Config {
	t.Helper()
	args := append([]string{
		"--model-version=v1.0.0", "--model-name=iris", "--model-release=v1.0.0-1a2b3c4d", "--model-color=blue",
		"--listen-addr=127.0.0.1:0", "--drain-quiet=50ms", "--model-path=" + path,
	}, more...)
	c, err := config.Parse("inference", args, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// instance is a running server.
type instance struct {
	*server.Server
	client *http.Client
	stop   context.CancelFunc
	done   chan error // what Run returned
}

// start runs a server until the test ends.
func start(t *testing.T, opts server.Options) *instance {
	t.Helper()
	s, err := server.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	i := &instance{Server: s, client: &http.Client{Transport: &http.Transport{}}, stop: cancel, done: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		i.done <- s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
		i.client.CloseIdleConnections()
	})
	return i
}

func startReady(t *testing.T, path string, more ...string) *instance {
	t.Helper()
	i := start(t, server.Options{Config: settings(t, path, more...)})
	i.awaitHealth(t, http.StatusOK)
	return i
}

func (i *instance) awaitHealth(t *testing.T, code int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		r, _ := i.do(t, "GET", "/health", "")
		if r.StatusCode == code {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("health is %d, not %d", r.StatusCode, code)
		}
	}
}

func (i *instance) do(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+i.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k := 0; k+1 < len(headers); k += 2 {
		r.Header.Set(headers[k], headers[k+1])
	}
	res, err := i.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestAnswersExactly(t *testing.T) {
	i := startReady(t, iris)
	tests := []struct{ method, path, body, want string }{
		{"GET", "/health", "", `{"status":"ok","version":"v1.0.0"}`},
		{"POST", "/predict", `{"x":[5.1,3.5,1.4,0.2]}`, `{"prediction":[0],"model_version":"v1.0.0"}`},
		{"POST", "/predict", `{"x":[[5.1,3.5,1.4,0.2]]}`, `{"prediction":[0],"model_version":"v1.0.0"}`},
		{
			"POST", "/predict", `{"x":[[5.1,3.5,1.4,0.2],[6.3,3.3,6,2.5],[5.9,2.8,4.3,1.3]]}`,
			`{"prediction":[0,2,1],"model_version":"v1.0.0"}`,
		},
	}
	for _, tt := range tests {
		res, body := i.do(t, tt.method, tt.path, tt.body)
		if res.StatusCode != http.StatusOK || body != tt.want {
			t.Errorf("%s %s: %d %s, want %s", tt.path, tt.body, res.StatusCode, body, tt.want)
		}
		if got := res.Header.Get("X-Model-Release"); got != "v1.0.0-1a2b3c4d" {
			t.Errorf("release %q", got)
		}
		if res.ContentLength != int64(len(tt.want)) || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("length %d, type %q", res.ContentLength, res.Header.Get("Content-Type"))
		}
	}
}

// TestPredictsEveryFixture sends each fixture's rows over HTTP and compares the decoded answers.
func TestPredictsEveryFixture(t *testing.T) {
	names := []string{
		"linear", "linear-two-outputs", "linear-column", "logistic-bool", "logistic-float-labels", "logistic-text",
		"tree-regressor-two-outputs", "forest-classifier-bool", "scaler", "pipeline-nested",
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			i := startReady(t, fixtures+name+".pkl")
			b, err := os.ReadFile(fixtures + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var f struct{ X, Prediction json.RawMessage }
			if err := json.Unmarshal(b, &f); err != nil {
				t.Fatal(err)
			}
			res, body := i.do(t, "POST", "/predict", fmt.Sprintf(`{"x":%s}`, f.X))
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			var got struct{ Prediction json.RawMessage }
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if !near(t, got.Prediction, f.Prediction) {
				t.Errorf("got %.300s\nwant %.300s", got.Prediction, f.Prediction)
			}
		})
	}
}

// near compares JSON values; numbers may differ by 1e-9.
func near(t testing.TB, a, b json.RawMessage) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return nearValue(x, y)
}

func nearValue(x, y any) bool {
	switch v := x.(type) {
	case float64:
		w, ok := y.(float64)
		return ok && max(v-w, w-v) <= 1e-9*max(1, v, -v)
	case []any:
		w, ok := y.([]any)
		return ok && slices.EqualFunc(v, w, nearValue)
	}
	return x == y
}

func TestRefusesBadRequests(t *testing.T) {
	i := startReady(t, "../testdata/sklearn-1.9.1/pipeline-names.pkl", "--max-body-bytes=2000", "--max-rows=3")
	ok := `{"x":[1,2,3,4,5]}`
	tests := []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		want                     string
	}{
		{"no JSON", "POST", "/predict", "hello", nil, 400, "want an object"},
		{"empty", "POST", "/predict", "", nil, 400, "the body ends here"},
		{"another member", "POST", "/predict", `{"X":[1]}`, nil, 400, "is not known"},
		{"too few", "POST", "/predict", `{"x":[1,2]}`, nil, 400, `2 cells in a row, but the model takes 5: ["length"`},
		{"ragged", "POST", "/predict", `{"x":[[1,2],[1]]}`, nil, 400, "row 1 of x has 1 numbers"},
		{"NaN", "POST", "/predict", `{"x":[NaN,1,2,3,4]}`, nil, 400, "NaN"},
		{"infinite", "POST", "/predict", `{"x":[1e999,1,2,3,4]}`, nil, 400, "too large"},
		{"text", "POST", "/predict", `{"x":["a",1,2,3,4]}`, nil, 400, "text"},
		{"too many rows", "POST", "/predict", `{"x":[[1],[2],[3],[4]]}`, nil, 413, "more than 3 rows"},
		{"too large", "POST", "/predict", strings.Repeat(" ", 2001), nil, 413, "larger than 2000 bytes"},
		{"wrong type", "POST", "/predict", ok, []string{"Content-Type", "image/png"}, 415, "must be JSON"},
		{"compressed", "POST", "/predict", ok, []string{"Content-Encoding", "gzip"}, 415, "not compressed"},
		{"GET", "GET", "/predict", "", nil, 405, "want POST"},
		{"DELETE health", "DELETE", "/health", "", nil, 405, "want GET"},
		{"POST metrics", "POST", "/metrics", "", nil, 405, "want GET"},
		{"no path", "GET", "/models", "", nil, 404, "/predict"},
		{"slash", "POST", "/predict/", ok, nil, 404, "/predict"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := i.do(t, tt.method, tt.path, tt.body, tt.headers...)
			var e map[string]string
			if err := json.Unmarshal([]byte(body), &e); err != nil || len(e) != 1 {
				t.Fatalf("%d %s: no JSON error (%v)", res.StatusCode, body, err)
			}
			if res.StatusCode != tt.code || !strings.Contains(e["error"], tt.want) {
				t.Errorf("%d %s: want %d and %q", res.StatusCode, e["error"], tt.code, tt.want)
			}
			if res.StatusCode == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	res, body := i.do(t, "POST", "/predict", ok, "Content-Type", "application/x-www-form-urlencoded")
	if res.StatusCode != 200 {
		t.Errorf("what curl -d sends: %d %s", res.StatusCode, body)
	}
}

func TestRefusesChunkedBodyBeyondLimit(t *testing.T) {
	i := startReady(t, iris, "--max-body-bytes=1000")
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+i.Addr()+"/predict",
		io.MultiReader(bytes.NewReader(make([]byte, 800)), bytes.NewReader(make([]byte, 800))))
	if err != nil {
		t.Fatal(err)
	}
	res, err := i.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestAnswersThatAreNotFinite(t *testing.T) {
	i := startReady(t, fixtures+"linear.pkl")
	res, body := i.do(t, "POST", "/predict", `{"x":[1.7e308,-1.7e308,1.7e308,1.7e308,1.7e308]}`)
	if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "not a finite number") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	i = startReady(t, "../../test/testdata/iris-v1.1.0.pkl")
	res, body = i.do(t, "POST", "/predict", `{"x":[1e39,1,1,1]}`)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "row 0, column 0") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// TestListensWhileLoading loads from a pipe, which gives nothing until the test says so.
func TestListensWhileLoading(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "model.pkl")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(iris)
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, server.Options{Config: settings(t, pipe)})
	res, body := i.do(t, "GET", "/health", "")
	if res.StatusCode != http.StatusServiceUnavailable || body != `{"status":"loading","version":"v1.0.0"}` {
		t.Errorf("health: %d %s", res.StatusCode, body)
	}
	res, body = i.do(t, "POST", "/predict", `{"x":[5.1,3.5,1.4,0.2]}`)
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("predict: %d %s", res.StatusCode, body)
	}
	if err := os.WriteFile(pipe, content, 0o600); err != nil {
		t.Fatal(err)
	}
	i.awaitHealth(t, http.StatusOK)
}

func TestRunFailsOnABadModel(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.pkl")
	if err := os.WriteFile(bad, []byte("\x80\x02cos\nsystem\n."), 0o600); err != nil {
		t.Fatal(err)
	}
	zeros := "--model-digest=" + strings.Repeat("0", 64)
	for want, c := range map[string]config.Config{
		"os.system":        settings(t, bad),
		"no such file":     settings(t, bad+".none"),
		"not the expected": settings(t, iris, zeros),
	} {
		s, err := server.New(t.Context(), server.Options{Config: c})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestRecoversFromPanics(t *testing.T) {
	i := start(t, server.Options{Config: settings(t, iris), Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Break") != "" {
				r.Body = nil // the handler falls over this
			}
			next.ServeHTTP(w, r)
		})
	}})
	i.awaitHealth(t, http.StatusOK)
	res, body := i.do(t, "POST", "/predict", `{"x":[1]}`, "X-Break", "1")
	if res.StatusCode != http.StatusInternalServerError || !strings.Contains(body, `{"error":`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	_, body = i.do(t, "GET", "/metrics", "")
	if !strings.Contains(body, `code="500",model="iris",release="v1.0.0-1a2b3c4d"} 1`) {
		t.Error("the 500 is not counted")
	}
}
