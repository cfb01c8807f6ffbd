package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/weirhq/weir/test/load"
)

// v1.0.0 and v1.1.0 answer this row with class 1, v1.2.0 with class 2.
const disputed = `{"x":[5.0,2.5,5.1,1.0]}`

// pairs is what explain tells of copies that were answered alike.
var pairs = regexp.MustCompile(`shadow +pass .* 0 of [0-9]{2,} requests were answered differently`)

// A canary is first sent copies of the requests. One that answers them differently is taken back before any client has
// seen an answer of it; one that agrees goes on to a share of the requests, and to the end.
func TestShadowComparesAnswersBeforeTheFirstRequest(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l, err := load.Start(t.Context(), load.Config{URL: s.addr.Ingress + "/predict", Body: disputed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Stop() })

	out, code := s.deployer(ship("v1.2.0", append(quick, "--strategy", "shadow")...)...)
	if code != 3 || !strings.Contains(out, "shadow: ") || !strings.Contains(out, "were answered differently") {
		t.Errorf("exit code %d, want 3 for what the copies showed; it said %s", code, out)
	}
	s.serves(l, first)
	if c := l.Counts(); len(c.ByRelease) != 1 {
		t.Errorf("answers of %v, want none of the canary", c.ByRelease)
	}
	if why := s.must("explain", model); !strings.Contains(why, "shadow") {
		t.Errorf("explain does not tell of the copies:\n%s", why)
	}

	s.must(ship("v1.1.0", append(quick, "--strategy", "shadow")...)...)
	second := s.releaseOf("v1.1.0")
	if why := s.must("explain", model); !pairs.MatchString(why) {
		t.Errorf("explain does not tell of the pairs:\n%s", why)
	}
	s.serves(l, second)
	noLoss(t, l.Stop())
	s.stable(second)
}
