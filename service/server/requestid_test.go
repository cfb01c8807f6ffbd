package server_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestRequestIDs(t *testing.T) {
	i := startReady(t, iris)
	for _, id := range []string{"a", "0af7651916cd43dd8448eb211c80319c", "trace/span:1+2=3@x.y_z-"} {
		if res, _ := i.do(t, "POST", "/predict", oneRow, "X-Request-Id", id); res.Header.Get("X-Request-Id") != id {
			t.Errorf("%q comes back as %q", id, res.Header.Get("X-Request-Id"))
		}
	}
	form, seen := regexp.MustCompile(`^[0-9a-f]{32}$`), map[string]bool{}
	bad := []string{"", "with space", "quote\"", "ümlaut", strings.Repeat("x", 129), "<b>"}
	for n := range 600 { // more than a block of them
		res, _ := i.do(t, "GET", "/health", "", "X-Request-Id", bad[n%len(bad)])
		id := res.Header.Get("X-Request-Id")
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("request %d: id %q, seen before: %v", n, id, seen[id])
		}
		seen[id] = true
	}
	if res, _ := i.do(t, "GET", "/none", ""); res.StatusCode != 404 || res.Header.Get("X-Request-Id") == "" {
		t.Error("a 404 has no request id")
	}
}
