package client

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Types of task events that Nomad's api package does not name.
const (
	eventAllocUnhealthy  = "Alloc Unhealthy"
	eventWaitingShutdown = "Waiting for shutdown"
)

// maxEvents is how many events a task keeps; older ones go.
const maxEvents = 10

func newEvent(kind, message string, details map[string]string) *api.TaskEvent {
	if details == nil {
		details = map[string]string{}
	}
	return &api.TaskEvent{Type: kind, Time: time.Now().UnixNano(), DisplayMessage: message, Details: details}
}

func received() *api.TaskEvent { return newEvent(api.TaskReceived, "Task received by client", nil) }
func started() *api.TaskEvent  { return newEvent(api.TaskStarted, "Task started by client", nil) }
func killed() *api.TaskEvent   { return newEvent(api.TaskKilled, "Task successfully killed", nil) }

// withMessage is an event whose message is also a field and a detail of it.
func withMessage(kind, message string) *api.TaskEvent {
	e := newEvent(kind, message, map[string]string{"message": message})
	e.Message = message
	return e
}

func buildingTaskDir() *api.TaskEvent { return withMessage(api.TaskSetup, "Building Task Directory") }

func unhealthy(why string) *api.TaskEvent { return withMessage(eventAllocUnhealthy, why) }

func downloadingArtifacts() *api.TaskEvent {
	return newEvent(api.TaskDownloadingArtifacts, "Client is downloading artifacts", nil)
}

func artifactFailed(err error) *api.TaskEvent {
	e := newEvent(api.TaskArtifactDownloadFailed, err.Error(), map[string]string{"download_error": err.Error()})
	e.DownloadError = err.Error()
	return e
}

func setupFailed(err error) *api.TaskEvent {
	e := newEvent(api.TaskSetupFailure, err.Error(), map[string]string{"setup_error": err.Error(), "fails_task": "true"})
	e.SetupError, e.FailsTask = err.Error(), true
	return e
}

func driverFailed(err error) *api.TaskEvent {
	e := newEvent(api.TaskDriverFailure, err.Error(), map[string]string{"driver_error": err.Error()})
	e.DriverError = err.Error()
	return e
}

func terminated(r exit) *api.TaskEvent {
	message := "Exit Code: " + strconv.Itoa(r.code)
	if r.signal != 0 {
		message += ", Signal: " + strconv.Itoa(r.signal)
	}
	details := map[string]string{
		"exit_code": strconv.Itoa(r.code), "signal": strconv.Itoa(r.signal), "oom_killed": strconv.FormatBool(r.oom),
	}
	if r.message != "" {
		message += fmt.Sprintf(", Exit Message: %q", r.message)
		details["exit_message"] = r.message
	}
	e := newEvent(api.TaskTerminated, message, details)
	e.ExitCode, e.Signal, e.Message = r.code, r.signal, r.message
	return e
}

func killing(timeout time.Duration) *api.TaskEvent {
	e := newEvent(api.TaskKilling, fmt.Sprintf("Sent interrupt. Waiting %v before force killing", timeout),
		map[string]string{"kill_timeout": timeout.String()})
	e.KillTimeout = timeout
	return e
}

func waitingShutdown(delay time.Duration) *api.TaskEvent {
	message := fmt.Sprintf("Waiting for shutdown_delay of %s before killing the task.", delay)
	return newEvent(eventWaitingShutdown, message, nil)
}

func siblingFailed(task string) *api.TaskEvent {
	message := fmt.Sprintf("Task's sibling %q failed", task)
	e := newEvent(api.TaskSiblingFailed, message, map[string]string{"failed_sibling": task})
	e.FailedSibling = task
	return e
}

func leaderDead() *api.TaskEvent {
	return newEvent(api.TaskLeaderDead, "Leader Task in Group dead", nil)
}

func restartSignaled(reason string) *api.TaskEvent {
	e := newEvent(api.TaskRestartSignal, reason, map[string]string{"restart_reason": reason})
	e.RestartReason = reason
	return e
}

func restarting(reason string, delay time.Duration) *api.TaskEvent {
	message := fmt.Sprintf("Task restarting in %v", delay)
	if reason != "" && reason != api.AllocRestartReasonWithinPolicy {
		message = reason + " - " + message
	}
	e := newEvent(api.TaskRestarting, message, map[string]string{
		"restart_reason": reason, "start_delay": strconv.FormatInt(int64(delay), 10),
	})
	e.RestartReason, e.StartDelay = reason, int64(delay)
	return e
}

func notRestarting(reason string) *api.TaskEvent {
	e := newEvent(api.TaskNotRestarting, reason, map[string]string{"restart_reason": reason, "fails_task": "true"})
	e.RestartReason, e.FailsTask = reason, true
	return e
}

func signaling(sig string) *api.TaskEvent {
	e := newEvent(api.TaskSignaling, "Task being sent signal "+strings.ToLower(sig),
		map[string]string{"signal": sig})
	e.TaskSignal = sig
	return e
}
