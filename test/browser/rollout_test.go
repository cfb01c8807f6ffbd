package browser

import (
	"strings"
	"testing"

	"github.com/weirhq/weir/deployer/rollout"
)

// TestRollout sees a whole rollout through on the page, and takes the next one back there.
func TestRollout(t *testing.T) {
	s := start(t)
	if code := s.ship("v1.0.0")(); code != 0 {
		t.Fatalf("the first release: exit code %d", code)
	}
	s.load()
	b := open(t)
	b.size(1280, 1000)
	b.visit(s.addr.Dashboard)
	b.shows("#m-iris", model)
	b.shows("main", "1 model")
	b.clean("the list")
	b.shot("list")

	wait := s.ship("v1.1.0", "--bake", "8s", "--watch", "5s")
	b.until("a rollout in the list", `!!document.querySelector("tr .countdown")`)
	b.click("#m-iris")
	b.shows("#state", "step 1 of 3")
	b.shows(".tag", "Baking")
	b.until("the charts to know both sides", `[...document.querySelectorAll(".chart")].every((c) => !c.ariaLabel.includes("no data"))`)
	b.until("the predictions of both sides", `[...document.querySelectorAll("td.of-canary")].some((c) => c.textContent.includes("%"))`)
	b.act("pause", "lunch")
	b.shows(".tag", "Held")
	b.shows("#reason", "lunch")
	b.clean("a model")
	b.shot("held-light")
	// A command that knows the daemon alone sees it through.
	resumed := s.deployer("resume", model, "--why", "back", "--server", s.addr.Dashboard, "--consul-addr", "127.0.0.1:1")
	b.shows("#state", "step 2 of 3")
	b.until("some time at half", `document.querySelector(".bar.big").ariaLabel.includes("50 % canary")`)
	b.shows(".steps", "pass at")
	b.shows(".tag", "Baking")
	b.dress("dark")
	b.shot("baking-dark")
	b.dress("light")
	b.shot("baking-light")
	b.shows(".tag", "Done")
	if code := wait(); code != 0 {
		t.Errorf("v1.1.0: exit code %d", code)
	}
	if code := resumed(); code != 0 {
		t.Errorf("resume by the daemon: exit code %d", code)
	}

	wait = s.ship("v1.2.0", "--bake", "1m")
	b.shows(".tag", "Baking")
	b.act("abort", "customers complain")
	b.shows(".tag", "Rolled back")
	b.shows("#reason", "customers complain")
	b.shot("rolled-back")
	b.clean("a model that was taken back")
	if code := wait(); code != 3 {
		t.Errorf("v1.2.0: exit code %d, want 3", code)
	}
	if rec := s.newest(); rec.Phase != rollout.RolledBack || !strings.Contains(rec.Reason, "customers complain") {
		t.Errorf("the record: %s, %s", rec.Phase, rec.Reason)
	}
	b.size(360, 740)
	b.fits()
	b.shot("phone")
}
