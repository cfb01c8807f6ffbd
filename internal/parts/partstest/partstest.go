// Package partstest runs the real parts in tests. What it starts ends with the test, also when that fails.
package partstest

import (
	"path/filepath"
	"testing"

	"github.com/weirhq/weir/internal/parts"
)

// Path finds a part or fails the test with what to install.
func Path(t testing.TB, p parts.Part) string {
	t.Helper()
	path, err := parts.Find(t.Context(), p, parts.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Consul starts a Consul of the test's own on free ports and stops it when the test ends.
func Consul(t testing.TB) *parts.ConsulServer {
	t.Helper()
	log := filepath.Join(t.TempDir(), "consul.log")
	c, err := parts.StartConsul(t.Context(), parts.ConsulConfig{
		LogFile: log, Tied: true, Options: parts.Options{Progress: t.Output()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop Consul: %v", err)
		}
	})
	return c
}

// Port returns a free port.
func Port(t testing.TB) int {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
