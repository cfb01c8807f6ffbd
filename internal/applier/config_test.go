package applier

import (
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
)

func TestConfigIsChecked(t *testing.T) {
	good := Config{Node: "edge-1", StateDir: "/run/weir", Listen: "127.0.0.1:8086", ConsulAddr: "127.0.0.1:8500"}
	if err := good.withDefaults().check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"node":          func(c *Config) { c.Node = "a/b" },
		"absolute path": func(c *Config) { c.StateDir = "state" },
		"Consul":        func(c *Config) { c.ConsulAddr = "" },
		"model name":    func(c *Config) { c.DefaultModel = "Iris" },
		"debounce":      func(c *Config) { c.Debounce = -1 },
		"two beats":     func(c *Config) { c.StaleAfter = 4 * time.Second },
		"retry timeout": func(c *Config) { c.RequestTimeout, c.RetryTimeout = 30*time.Second, 10*time.Second },
	} {
		bad := good
		spoil(&bad)
		if err := bad.withDefaults().check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Two ingresses never share a state folder.
func TestStateFolderIsLocked(t *testing.T) {
	cfg := Config{
		Node: "edge-1", StateDir: t.TempDir(), Listen: "127.0.0.1:1", ConsulAddr: "127.0.0.1:1",
		Nginx: partstest.Path(t, parts.Nginx),
	}
	held, err := lock(cfg.path("lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another ingress") {
		t.Errorf("Run on a folder in use: %v", err)
	}
}
