package rollout

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Duration is a time.Duration that reads and writes JSON as "1m30s".
type Duration time.Duration

// MarshalJSON writes the duration in Go's notation.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads Go's notation.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read duration %s: %w", b, err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("read duration: %w", err)
	}
	*d = Duration(v)
	return nil
}

// Strategy is the way traffic moves from stable to canary.
type Strategy string

// The strategies.
const (
	StrategyCanary    Strategy = "canary"     // by steps: 10 → 50 → 100
	StrategyBlueGreen Strategy = "blue-green" // in one switch: 0 → 100
	StrategyShadow    Strategy = "shadow"     // first copies of the requests, whose answers nobody sees, then canary
)

// Step is one weight of the canary and how long it must hold.
type Step struct {
	Weight int      `json:"weight"`           // percent of the requests, 1 to 100; 0 with Shadow
	Shadow bool     `json:"shadow,omitempty"` // the canary gets copies of the requests instead
	Bake   Duration `json:"bake"`             // time at this weight, counted only while every live ingress serves it
	Manual bool     `json:"manual,omitempty"` // an operator must promote before the NEXT step begins
}

// Spec says how a rollout is to go.
type Spec struct {
	Strategy Strategy `json:"strategy"`
	Steps    []Step   `json:"steps"`  // rising weights, the last one 100
	Watch    Duration `json:"watch"`  // time at 100 % with the old side hot, before the commit
	Count    int      `json:"count"`  // instances of the release once it is stable
	Place    Duration `json:"place"`  // how long the canary may take to become healthy
	Settle   Duration `json:"settle"` // how long the ingresses may take to serve a new weight
	Blind    Duration `json:"blind"`  // how long Nomad may be out of reach while traffic is split
	// ManualStart waits for an operator before the canary gets its first request.
	ManualStart bool      `json:"manual_start,omitempty"`
	Analysis    *Analysis `json:"analysis,omitempty"` // nil: by health alone
	Hooks       []Hook    `json:"hooks,omitempty"`
	Notify      []string  `json:"notify,omitempty"` // URLs that each change of phase is posted to
	Keep        int       `json:"keep,omitempty"`   // ended rollouts of the model that are kept; 0: DefaultKeep
	// Canaries is the number of instances of the canary where it is smaller than Count; 0: as many as Count.
	Canaries int `json:"canaries,omitempty"`
	// Share is how many percent of the requests the canary's instances are sized for; 0: all.
	Share int `json:"share,omitempty"`
	// Namespace and Region say where in Nomad the job is, Datacenter in which Consul the model is. Empty: wherever the
	// clients are at home.
	Namespace  string `json:"namespace,omitempty"`
	Region     string `json:"region,omitempty"`
	Datacenter string `json:"datacenter,omitempty"`
	// Force allows steps above the share.
	Force bool `json:"force,omitempty"`
}

// Defaults of a Spec.
const (
	DefaultBake   = Duration(30 * time.Second)
	DefaultWatch  = Duration(30 * time.Second)
	DefaultPlace  = Duration(5 * time.Minute)
	DefaultSettle = Duration(30 * time.Second)
	DefaultBlind  = Duration(time.Minute)
	DefaultKeep   = 50
)

// DefaultWeights are the steps of the canary strategy, in percent.
var DefaultWeights = []int{10, 50, 100}

// NewSpec returns the spec of a strategy with one bake for each of the weights. No weights: the strategy's own.
func NewSpec(strategy Strategy, weights []int, bake, watch Duration) (Spec, error) {
	if len(weights) == 0 {
		weights = DefaultWeights
		if strategy == StrategyBlueGreen {
			weights = []int{100}
		}
	}
	s := Spec{
		Strategy: strategy, Watch: watch, Count: 1,
		Place: DefaultPlace, Settle: DefaultSettle, Blind: DefaultBlind,
	}
	if strategy == StrategyShadow {
		s.Steps = []Step{{Shadow: true, Bake: bake}}
	}
	for _, w := range weights {
		s.Steps = append(s.Steps, Step{Weight: w, Bake: bake})
	}
	return s, s.Check()
}

// Check returns an error that names the first thing that cannot be carried out.
func (s Spec) Check() error {
	switch {
	case !slices.Contains([]Strategy{StrategyCanary, StrategyBlueGreen, StrategyShadow}, s.Strategy):
		return fmt.Errorf("strategy %q: want %q, %q or %q", s.Strategy, StrategyCanary, StrategyBlueGreen, StrategyShadow)
	case len(s.Steps) == 0:
		return fmt.Errorf("no steps: want at least one, the last at 100")
	case s.Strategy == StrategyBlueGreen && len(s.Steps) != 1:
		return fmt.Errorf("strategy %q has %d steps: want one, at 100", s.Strategy, len(s.Steps))
	case s.Count < 1:
		return fmt.Errorf("count %d: want at least 1 instance", s.Count)
	case s.Canaries < 0 || s.Canaries > s.Count || s.Share < 0 || s.Share > 100:
		return fmt.Errorf("canaries %d, share %d: want at most the count of %d, and 0 to 100 %%", s.Canaries, s.Share, s.Count)
	case s.Watch < 0 || s.Place <= 0 || s.Settle <= 0 || s.Blind <= 0:
		return fmt.Errorf("times: want watch ≥ 0 and place, settle and blind > 0")
	case s.Keep < 0:
		return fmt.Errorf("keep %d: want 0 or more", s.Keep)
	}
	if err := s.checkPlace(); err != nil {
		return err
	}
	if err := s.Analysis.check(); err != nil {
		return err
	}
	if err := s.checkHooks(); err != nil {
		return err
	}
	if err := s.checkSteps(); err != nil {
		return err
	}
	return s.checkShare()
}

var placeName = regexp.MustCompile(`^[A-Za-z0-9._-]{0,128}$`)

func (s Spec) checkPlace() error {
	for _, p := range []struct{ what, name string }{
		{"namespace", s.Namespace}, {"region", s.Region}, {"datacenter", s.Datacenter},
	} {
		if !placeName.MatchString(p.name) {
			return fmt.Errorf("%s %q: want one, by its name of letters, digits and ._-", p.what, p.name)
		}
	}
	return nil
}

func (s Spec) checkHooks() error {
	seen := map[string]bool{}
	for _, h := range s.Hooks {
		if err := h.Check(); err != nil {
			return err
		}
		key := string(h.On) + "/" + h.Name
		if seen[key] {
			return fmt.Errorf("hook %q: there are two of that name on %q", h.Name, h.On)
		}
		seen[key] = true
	}
	for _, u := range s.Notify {
		if err := checkURL(u); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
	}
	return nil
}

func (s Spec) checkSteps() error {
	last := 0
	for i, step := range s.Steps {
		if step.Shadow {
			if i > 0 || step.Weight != 0 || s.Strategy != StrategyShadow {
				return fmt.Errorf("step %d mirrors: want that only in the first step of strategy %q, with weight 0",
					i+1, StrategyShadow)
			}
			continue
		}
		if step.Weight <= last || step.Weight > 100 {
			return fmt.Errorf("step %d has weight %d: want above %d and at most 100", i+1, step.Weight, last)
		}
		if step.Bake < 0 {
			return fmt.Errorf("step %d bakes for %s: want 0 or more", i+1, time.Duration(step.Bake))
		}
		last = step.Weight
	}
	if last != 100 {
		return fmt.Errorf("the last step has weight %d: want 100", last)
	}
	return nil
}
