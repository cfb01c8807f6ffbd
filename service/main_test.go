package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for the program: the tests start it again with this variable.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_TEST_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append([]string{"WEIR_TEST_MAIN=1", "MODEL_VERSION=v1.0.0", "LISTEN_ADDR=127.0.0.1:0"}, env...)
	return cmd
}

// exit runs the program to its end.
func exit(t *testing.T, cmd *exec.Cmd) (code int, stderr string) {
	t.Helper()
	var b bytes.Buffer
	cmd.Stderr = &b
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

func TestBadModelsEndWithOneSentence(t *testing.T) {
	good, err := os.ReadFile("../test/testdata/iris-v1.0.0.pkl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{
		"evil.pkl":  "\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.",
		"cut.pkl":   string(good[:len(good)/2]),
		"text.pkl":  "not a model\n",
		"bomb.pkl":  "\x80\x04\x95\x00\x00\x00\x00\x00\x01\x00\x00",
		"empty.pkl": "",
		"tail.pkl":  string(good) + "x",
	}
	for name, want := range map[string]string{
		"evil.pkl": "os.system", "cut.pkl": "byte", "text.pkl": "protocol", "bomb.pkl": "frame", "empty.pkl": "empty",
		"tail.pkl": "follow the end", "none.pkl": "no such file",
	} {
		path := filepath.Join(dir, name)
		if content, ok := files[name]; ok {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, stderr := exit(t, program(t, "MODEL_PATH="+path))
		if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) ||
			!strings.Contains(stderr, path) {
			t.Errorf("%s: code %d, %q", name, code, stderr)
		}
	}
}

func TestWrongDigestEndsTheProgram(t *testing.T) {
	other := "MODEL_DIGEST=" + strings.Repeat("0", 64)
	code, stderr := exit(t, program(t, "MODEL_PATH=../test/testdata/iris-v1.0.0.pkl", other))
	if code != 1 || !strings.Contains(stderr, "digest is not the expected one") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

func TestWrongSettingsEndWithUsage(t *testing.T) {
	code, stderr := exit(t, program(t, "MODEL_COLOR=red"))
	if code != 2 || !strings.Contains(stderr, "want blue or green") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

func TestServesAndLeavesOnSIGTERM(t *testing.T) {
	port := freePort(t)
	cmd := program(t, "MODEL_PATH=../test/testdata/iris-v1.0.0.pkl", "DRAIN_QUIET=20ms", "LISTEN_ADDR=127.0.0.1:"+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	body := awaitOK(t, "http://127.0.0.1:"+port+"/health")
	if body != `{"status":"ok","version":"v1.0.0"}` {
		t.Errorf("health: %s", body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	ended = true
	if err != nil {
		t.Errorf("exit after SIGTERM: %v", err)
	}
}

// freePort asks the system for a port.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return regexp.MustCompile(`\d+$`).FindString(l.Addr().String())
}

func awaitOK(t *testing.T, url string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode == http.StatusOK {
			return string(b)
		}
	}
	t.Fatalf("%s is not answered with 200", url)
	return ""
}
