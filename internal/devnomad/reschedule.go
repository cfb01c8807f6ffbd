package devnomad

import (
	"time"

	"github.com/hashicorp/nomad/api"
)

// nextReschedule returns when a failed allocation may be replaced by its group's reschedule policy, if at all.
func nextReschedule(a *api.Allocation) (time.Time, bool) {
	policy := policyOf(a)
	if policy == nil || a.ClientStatus != api.AllocClientStatusFailed || serverTerminal(a) {
		return time.Time{}, false
	}
	failed := lastEvent(a)
	if val(a.DesiredTransition.ForceReschedule) {
		return failed, true
	}
	if !mayReschedule(a, policy, failed) {
		return time.Time{}, false
	}
	return failed.Add(rescheduleDelay(policy, attemptsBefore(a))), true
}

func policyOf(a *api.Allocation) *api.ReschedulePolicy {
	group := lookupGroup(a.Job, a.TaskGroup)
	if group == nil {
		return nil
	}
	return group.ReschedulePolicy
}

// mayReschedule reports whether the policy has attempts left for a failure at the time given.
func mayReschedule(a *api.Allocation, policy *api.ReschedulePolicy, at time.Time) bool {
	if policy == nil {
		return false
	}
	if val(policy.Unlimited) {
		return true
	}
	within := 0
	if a.RescheduleTracker != nil {
		for _, e := range a.RescheduleTracker.Events {
			if at.Sub(time.Unix(0, e.RescheduleTime)) < val(policy.Interval) {
				within++
			}
		}
	}
	return within < val(policy.Attempts)
}

func attemptsBefore(a *api.Allocation) int {
	if a.RescheduleTracker == nil {
		return 0
	}
	return len(a.RescheduleTracker.Events)
}

// rescheduleDelay returns the delay before the attempt that follows n earlier ones.
func rescheduleDelay(policy *api.ReschedulePolicy, n int) time.Duration {
	before, delay := time.Duration(0), val(policy.Delay)
	for range n {
		switch val(policy.DelayFunction) {
		case "exponential":
			delay *= 2
		case "fibonacci":
			before, delay = delay, max(delay, before+delay)
		}
		if limit := val(policy.MaxDelay); limit > 0 && delay > limit {
			return limit
		}
	}
	return delay
}

// lastEvent returns when the last task of an allocation ended.
func lastEvent(a *api.Allocation) time.Time {
	last := time.Time{}
	for _, t := range a.TaskStates {
		if t.FinishedAt.After(last) {
			last = t.FinishedAt
		}
	}
	if last.IsZero() {
		return time.Unix(0, a.ModifyTime)
	}
	return last
}
