// Package v2client tests the inference server with the client libraries that users of the Open Inference Protocol have:
// Triton's and MLServer's, from PyPI.
package v2client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/server"
)

// python returns a Python that has the packages in requirements.txt: that of V2CLIENT_PYTHON, or of the virtual
// environment v2client in Weir's cache. Where CI is set, there must be one.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("V2CLIENT_PYTHON")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(cache, "weir", "v2client", "bin", "python")
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	const how = "the clients are not installed: python3 -m venv ~/.cache/weir/v2client && " +
		"~/.cache/weir/v2client/bin/pip install -r test/v2client/requirements.txt"
	if os.Getenv("CI") != "" || os.Getenv("V2CLIENT_PYTHON") != "" {
		t.Fatal(how)
	}
	t.Skip(how)
	return ""
}

// serve runs a server of a model until the test ends, and returns its URL.
func serve(t *testing.T, model string) string {
	t.Helper()
	c, err := config.Parse("inference", []string{
		"--model-version=v1.2.3", "--model-name=model", "--listen-addr=127.0.0.1:0", "--drain-quiet=0s",
		"--model-path=" + model,
	}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		w := httptest.NewRecorder()
		if s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/v2/health/ready", nil)); w.Code == http.StatusOK {
			return "http://" + s.Addr()
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not loaded", model)
		}
	}
}

func TestClients(t *testing.T) {
	const fixtures = "../../service/testdata/sklearn-1.9.1/"
	args := []string{"client.py", "model", "v1.2.3"}
	interpreter := python(t)
	for _, model := range []string{
		"../testdata/iris-v1.0.0.pkl", fixtures + "logistic-object.pkl", fixtures + "linear-two-outputs.pkl",
		fixtures + "pipeline-names.pkl", fixtures + "scaler.pkl", fixtures + "forest-classifier-bool.pkl",
	} {
		url := serve(t, model)
		t.Logf("%s at %s", model, url)
		args = append(args, url)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, interpreter, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
