package rollout

import (
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Moment is when a hook runs.
type Moment string

// The moments.
const (
	HookPre   Moment = "pre"   // before the canary is placed; a failure ends the rollout
	HookStep  Moment = "step"  // when a step's weight is served; a failure takes the canary back
	HookPost  Moment = "post"  // after the commit; a failure is only told
	HookAbort Moment = "abort" // after the traffic went back; a failure is only told
)

// Hook is something of the user's that runs at a moment of the rollout: a command, or a POST of the record to a URL.
// It runs at least once: again after its guardian died meanwhile.
type Hook struct {
	Name    string   `json:"name"`
	On      Moment   `json:"on"`
	Command []string `json:"command,omitempty"`
	URL     string   `json:"url,omitempty"`
	Timeout Duration `json:"timeout"`
}

// DefaultHookTimeout is how long a hook may take.
const DefaultHookTimeout = Duration(time.Minute)

// Check returns an error that names the first thing that is wrong.
func (h Hook) Check() error {
	switch {
	case h.Name == "":
		return fmt.Errorf("hook: want a name")
	case !slices.Contains([]Moment{HookPre, HookStep, HookPost, HookAbort}, h.On):
		return fmt.Errorf("hook %q: on %q: want pre, step, post or abort", h.Name, h.On)
	case (len(h.Command) == 0) == (h.URL == ""):
		return fmt.Errorf("hook %q: want a command or a URL, and not both", h.Name)
	case h.Timeout <= 0:
		return fmt.Errorf("hook %q: want a timeout above 0", h.Name)
	}
	if h.URL != "" {
		if err := checkURL(h.URL); err != nil {
			return fmt.Errorf("hook %q: %w", h.Name, err)
		}
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q: want a URL, like https://example.com/told", s)
	}
	return nil
}

// HookRun is how one run of a hook ended.
type HookRun struct {
	Key  string    `json:"key"` // which run of which hook
	At   time.Time `json:"at"`  // when it ended
	OK   bool      `json:"ok"`
	Said string    `json:"said,omitempty"` // its last words, or why it failed
}

// HookKey names a run: a step that is entered anew runs its hooks anew.
func (r Record) HookKey(h Hook) string {
	if h.On == HookStep {
		return fmt.Sprintf("%s/%d/%s", h.On, r.Epoch, h.Name)
	}
	return fmt.Sprintf("%s/%s", h.On, h.Name)
}

// takeHooks notes how hooks ended.
func (r *Record) takeHooks(obs Observation, now time.Time) {
	for _, run := range obs.Hooks {
		if r.ran(run.Key) != nil {
			continue
		}
		r.HookRuns = append(slices.Clip(r.HookRuns), run)
		what := "succeeded"
		if !run.OK {
			what = "failed"
		}
		r.log(now, fmt.Sprintf("hook %s %s%s", run.Key, what, suffix(run.Said)), "")
	}
}

func (r Record) ran(key string) *HookRun {
	for i := range r.HookRuns {
		if r.HookRuns[i].Key == key {
			return &r.HookRuns[i]
		}
	}
	return nil
}

// hooks asks for the hooks of a moment, one after the other, and says whether all have ended. Where one that decides
// failed, the rollout goes back.
func (r *Record) hooks(on Moment, now time.Time) ([]Action, bool) {
	for _, h := range r.Spec.Hooks {
		if h.On != on {
			continue
		}
		run := r.ran(r.HookKey(h))
		if run == nil {
			return []Action{RunHook{Key: r.HookKey(h), Name: h.Name}}, false
		}
		if !run.OK && (on == HookPre || on == HookStep) {
			r.abort(now, fmt.Sprintf("hook %q failed%s", h.Name, suffix(run.Said)))
			return nil, false
		}
	}
	return nil, true
}
