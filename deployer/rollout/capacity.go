package rollout

import "fmt"

// Trial returns the number of instances that the canary has while it is one.
func (s Spec) Trial() int {
	if s.Canaries == 0 {
		return s.Count
	}
	return s.Canaries
}

// Sized returns how many percent of the requests the canary's instances are sized for.
func (s Spec) Sized() int {
	if s.Share == 0 {
		return 100
	}
	return s.Share
}

// Size notes how many instances serve all requests today: the canary's share is its part of those, or of its own count
// where that is more. No such instances: all requests.
func (s *Spec) Size(stable int) {
	s.Share = 0
	if full := max(stable, s.Count); stable > 0 && s.Trial() < full {
		s.Share = max(100*s.Trial()/full, 1)
	}
}

// checkShare refuses steps that send the canary more requests than its instances are sized for.
func (s Spec) checkShare() error {
	for i, step := range s.Steps {
		if why := s.overload(step.Weight); why != "" && !s.Force {
			return fmt.Errorf("step %d: %s: want lower weights, more canaries, or --force", i+1, why)
		}
	}
	return nil
}

// overload says why a weight is above what the canary's instances are sized for; "" if it is not.
func (s Spec) overload(weight int) string {
	if weight <= s.Sized() {
		return ""
	}
	return fmt.Sprintf("%d %% of the requests are too much for %d instances, which are sized for %d %%", weight, s.Trial(), s.Sized())
}

// forced remarks that the steps may overload the canary, where somebody wanted that.
func (s Spec) forced() string {
	for _, step := range s.Steps {
		if why := s.overload(step.Weight); why != "" {
			return ", by force: " + why
		}
	}
	return ""
}

// wanted returns how many instances of the release under trial must pass their checks now. A first release comes up at
// full size.
func (r Record) wanted() int {
	if r.First() {
		return r.Spec.Count
	}
	return r.Spec.Trial()
}

// scaled says that somebody changed the job's count while the canary is under trial. Nomad then places other canaries
// instead of those that have the traffic, or promotes to another size than was agreed.
func (r Record) scaled(d Deployment) string {
	if d.Promoted || !d.Active() || d.Wanted == 0 || d.Wanted == r.Spec.Count {
		return ""
	}
	return fmt.Sprintf("somebody changed the job's count from %d to %d: scale when the rollout is over", r.Spec.Count, d.Wanted)
}
