package rollout

import (
	"slices"
)

// checkRecord checks the step from one record to the next.
func (w *world) checkRecord(was, next Record) {
	w.t.Helper()
	switch {
	case was.Phase.Terminal() && next.Phase != was.Phase:
		w.t.Fatalf("%s became %s", was.Phase, next.Phase)
	case next.Weight < 0 || next.Weight > 100:
		w.t.Fatalf("weight %d", next.Weight)
	case next.Epoch < was.Epoch:
		w.t.Fatalf("epoch went from %d to %d", was.Epoch, next.Epoch)
	case next.Weight > was.Weight && back(was.Phase):
		w.t.Fatalf("weight rose from %d to %d in phase %s", was.Weight, next.Weight, was.Phase)
	case back(was.Phase) && !back(next.Phase):
		w.t.Fatalf("%s became %s", was.Phase, next.Phase)
	case next.Weight > was.Weight && next.Step > 0 && !w.operator && !passed(next, next.Step-1, was.Epoch):
		w.t.Fatalf("weight rose from %d to %d without a verdict for step %d in epoch %d", was.Weight, next.Weight, next.Step, was.Epoch)
	case next.Weight > next.Spec.Steps[next.Step].Weight && !w.operator:
		w.t.Fatalf("weight %d in step %d of %d %%", next.Weight, next.Step+1, next.Spec.Steps[next.Step].Weight)
	case next.Phase == Baking && next.Weight > 0 && next.Shadow:
		w.t.Fatalf("the canary gets %d %% of the requests and copies", next.Weight)
	case next.Phase == Held && next.Reason == "", next.Phase == RolledBack && next.Reason == "":
		w.t.Fatalf("%s without a reason", next.Phase)
	}
}

func back(p Phase) bool { return p == Aborting || p == NeedsHuman || p == RolledBack }

// passed says whether a record has a pass for a step in an epoch.
func passed(r Record, step int, epoch uint64) bool {
	return slices.ContainsFunc(r.Verdicts, func(v Verdict) bool {
		return v.Step == step && v.Epoch == epoch && v.Outcome == Pass
	})
}

// checkAct checks what must never be done.
func (w *world) checkAct(a Action) {
	w.t.Helper()
	switch a := a.(type) {
	case AdoptStable:
		w.checkEpoch(a.Epoch)
	case SetStable:
		w.checkEpoch(a.Epoch)
		if a.Release == w.rec.Release {
			w.checkGolden()
			w.checkVerdicts()
		}
	case RunHook:
		if w.rec.ran(a.Key) != nil {
			w.t.Fatalf("hook %s runs again after it ended", a.Key)
		}
	case Collect:
		if w.canary != nil || w.rec.Phase != Aborting {
			w.t.Fatalf("evidence is read in phase %s with the canary key %v", w.rec.Phase, w.canary)
		}
	case SetCanary:
		w.checkGolden()
		if back(w.rec.Phase) || w.rec.Phase.Terminal() {
			w.t.Fatalf("the canary key is written in phase %s", w.rec.Phase)
		}
		same := w.canary == nil || w.canary.Epoch == a.Epoch && w.canary.Weight == a.Weight
		if a.Epoch != w.topEpoch || !same { // the same again is no change
			w.checkEpoch(a.Epoch)
		}
	case Promote:
		w.checkPromote(w.find(a.Deployment))
	case FailDeployment:
		w.checkUnused(a)
	case RestoreJob, StopJob:
		if w.rec.Phase != NeedsHuman { // then Nomad has stopped the other side already
			w.checkUnused(a)
		}
	case Register:
	}
}

// checkUnused checks that no ingress sends requests to the release under trial, whose instances are about to be stopped.
func (w *world) checkUnused(a Action) {
	w.t.Helper()
	for i, in := range w.ingresses {
		if in.canary == w.rec.Release || in.stable == w.rec.Release && !in.lost {
			w.t.Fatalf("%#v while ingress %d sends requests to the canary", a, i)
		}
	}
}

// checkVerdicts checks that nothing becomes stable before each of its steps has passed, unless a person decided or there
// was no traffic to move.
func (w *world) checkVerdicts() {
	w.t.Helper()
	if w.operator || w.rec.First() || w.promotedByHand() {
		return
	}
	for i := range w.rec.Spec.Steps {
		if !slices.ContainsFunc(w.rec.Verdicts, func(v Verdict) bool { return v.Step == i && v.Outcome == Pass }) {
			w.t.Fatalf("%s becomes stable without a pass for step %d: %v", w.rec.Release, i+1, w.rec.Verdicts)
		}
	}
}

func (w *world) promotedByHand() bool {
	return slices.ContainsFunc(w.deployments, func(d *deployment) bool {
		return d.Attempt == w.rec.Attempt && d.Promoted
	})
}

// checkGolden checks that nothing gets a request before its golden set passed, but for what somebody promoted in
// Nomad.
func (w *world) checkGolden() {
	w.t.Helper()
	a := w.rec.Spec.Analysis
	if !w.promotedByHand() && a != nil && a.Golden && !slices.ContainsFunc(w.rec.Verdicts, func(v Verdict) bool { return v.Outcome == Pass }) {
		w.t.Fatalf("requests for %s before its golden set passed", w.rec.Release)
	}
}

func (w *world) checkEpoch(e uint64) {
	w.t.Helper()
	if e <= w.topEpoch {
		w.t.Fatalf("epoch %d is written after %d", e, w.topEpoch)
	}
}

func (w *world) checkPromote(d *deployment) {
	w.t.Helper()
	if w.stable != d.Release || w.canary != nil {
		w.t.Fatalf("the deployment of %s is promoted while stable is %s, canary %v", d.Release, w.stable, w.canary)
	}
	for i, in := range w.ingresses {
		if !in.lost && (in.stable != d.Release || in.canary != "") {
			w.t.Fatalf("the deployment of %s is promoted while ingress %d serves %s and %q", d.Release, i, in.stable,
				in.canary)
		}
		if in.lost && in.canary != "" {
			w.t.Fatalf("the deployment is promoted while lost ingress %d may serve %s", i, in.canary)
		}
	}
	if len(w.of(d.Release)) == 0 {
		w.t.Fatalf("a deployment without instances is promoted")
	}
}
