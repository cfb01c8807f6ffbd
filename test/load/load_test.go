package load

import (
	"net/netip"
	"testing"
)

func TestTargetIsTheTestsOwn(t *testing.T) {
	mine := netip.MustParsePrefix("10.77.0.0/24")
	for _, tt := range []struct {
		url     string
		network netip.Prefix
		ok      bool
	}{
		{"http://127.0.0.1:1/predict", netip.Prefix{}, true},
		{"http://[::1]:1/predict", netip.Prefix{}, true},
		{"http://localhost:1/predict", netip.Prefix{}, true},
		{"http://10.77.0.31:1/predict", mine, true},
		{"http://10.77.0.31:1/predict", netip.Prefix{}, false},
		{"http://10.78.0.31:1/predict", mine, false},
		{"http://example.com/predict", mine, false},
	} {
		l, err := Start(t.Context(), Config{URL: tt.url, Network: tt.network, Clients: 1, Pause: 1})
		if (err == nil) != tt.ok {
			t.Errorf("%s with network %s: %v", tt.url, tt.network, err)
		}
		if l != nil {
			l.Stop()
		}
	}
}
