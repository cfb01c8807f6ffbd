//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// fault is something that goes wrong in a rollout.
type fault struct {
	what   string             // for the report
	phases []rollout.Phase    // in which it may come
	before func(*round) error // at the rollout's begin; nil for nothing
	inject func(*round) error
	// cuts says that it breaks connections of clients, which are counted apart.
	cuts bool
}

// faults by name. It is filled by init, for the schedule refers to it.
var faults map[string]fault

func init() {
	keyed := []rollout.Phase{rollout.Settling, rollout.Baking, rollout.Judging, rollout.Watching} // there is a canary key
	placed := slices.DeleteFunc(slices.Clone(everywhere), func(p rollout.Phase) bool { return p == rollout.Placing })
	faults = map[string]fault{
		"none":               {what: "nothing", phases: everywhere, inject: func(*round) error { return nil }},
		"guardian-kill":      {what: "SIGKILL the guardian", phases: everywhere, inject: (*round).killGuardian},
		"guardian-stop":      {what: "SIGSTOP the guardian until its lease is gone, SIGCONT before anybody has it", phases: everywhere, inject: (*round).stopGuardian},
		"guardian-stop-long": {what: "SIGSTOP the guardian for a minute, then SIGCONT", phases: everywhere, inject: (*round).stopGuardianLong},
		"daemon-kill":        {what: "SIGKILL the guardian, and the daemon when it has taken over; start the daemon again", phases: everywhere, inject: (*round).killDaemon},
		"stable-kill":        {what: "SIGKILL an instance of stable", phases: everywhere, inject: (*round).killStable},
		"canary-kill":        {what: "SIGKILL an instance of the canary", phases: placed, inject: (*round).killCanary},
		"canaries-kill":      {what: "SIGKILL all instances of the canary", phases: placed, inject: (*round).killCanaries},
		"template-kill":      {what: "SIGKILL consul-template", phases: everywhere, inject: (*round).killTemplate},
		"applier-kill":       {what: "SIGKILL the applier", phases: everywhere, inject: (*round).killApplier},
		"nginx-worker":       {what: "SIGKILL an nginx worker", phases: everywhere, inject: (*round).killWorker, cuts: true},
		"nginx-master":       {what: "SIGTERM the nginx master", phases: everywhere, inject: (*round).stopMaster, cuts: true},
		"node-kill":          {what: "SIGKILL the Nomad agent of the node, start it again", phases: everywhere, inject: (*round).killNode},
		"nomad-kill":         {what: "SIGKILL the Nomad server, start it again", phases: everywhere, inject: (*round).killNomad},
		"consul-leader":      {what: "SIGKILL the Consul leader", phases: everywhere, inject: (*round).killLeader},
		"consul-stop":        {what: "SIGSTOP all Consul servers for 5 s", phases: everywhere, inject: (*round).stopConsul},
		"deployer-cut":       {what: "cut the guardian from Consul until another takes over", phases: everywhere, inject: (*round).cutDeployer},
		"nomad-cut":          {what: "cut the guardian from Nomad for 10 s", phases: everywhere, inject: (*round).cutNomad},
		"ingress-cut":        {what: "cut the ingress from Consul for 20 s", phases: everywhere, inject: (*round).cutIngress},
		"disk-full":          {what: "fill the ingress's disk for 8 s", phases: everywhere, inject: (*round).fillDisk},
		"clock-forward":      {what: "step the clock an hour forward, of the guardian or of the ingress", phases: everywhere, inject: (*round).clockForward},
		"clock-back":         {what: "step the clock an hour back, of the guardian or of the ingress", phases: everywhere, inject: (*round).clockBack},
		"clock-takeover":     {what: "step the guardian's clock by an hour, then SIGKILL it", phases: everywhere, inject: (*round).clockTakeover},
		"clock-behind":       {what: "step the deployer's clock by an hour before it begins the rollout, SIGKILL it", phases: everywhere, before: (*round).clockBehind, inject: (*round).killGuardian},
		"garbage":            {what: "garbage in the keys of another model", phases: everywhere, inject: (*round).writeGarbage},
		"garbage-canary":     {what: "garbage in the canary key", phases: keyed, inject: (*round).spoilCanaryKey},
		"canary-key-gone":    {what: "delete the canary key", phases: keyed, inject: (*round).deleteCanaryKey},
	}
}

// faultNames are the names in a fixed order.
func faultNames() []string { return slices.Sorted(maps.Keys(faults)) }

// errTooLate says that the rollout was over, or nothing of the kind was there any more.
var errTooLate = errors.New("there was nothing to hit any more")

func kill(pid int) error { return signal(pid, syscall.SIGKILL) }

func signal(pid int, sig syscall.Signal) error {
	if pid == 0 {
		return errTooLate
	}
	if err := syscall.Kill(pid, sig); errors.Is(err, syscall.ESRCH) {
		return errTooLate
	} else if err != nil {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// pause is a time that is meant itself.
func pause(d time.Duration) { time.Sleep(d) }
