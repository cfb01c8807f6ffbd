package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// Act is what an operator asks for.
type Act struct {
	Verb    string `json:"verb"`
	Why     string `json:"why,omitempty"`
	By      string `json:"by,omitempty"`      // where nobody needs a token; else the token's name counts
	Rollout string `json:"rollout,omitempty"` // the rollout that is meant; "": whichever is under way
	Weight  int    `json:"weight,omitempty"`  // with weights
	Force   bool   `json:"force,omitempty"`   // with abort and revert: also where nothing healthy is left to go back to
	To      string `json:"to,omitempty"`      // with revert, where no rollout is under way: the release to go back to
}

// Accepted says where an act was left for the guardian.
type Accepted struct {
	Rollout string        `json:"rollout"`
	Release string        `json:"release"`
	Phase   rollout.Phase `json:"phase"`
}

// The verbs of the API that are not those of a record.
const (
	verbAbort  = "abort"  // the rollout under way goes back
	verbRevert = "revert" // the same, or else the release before the stable one comes back
)

var verbs = map[string]rollout.Verb{
	"promote": rollout.VerbPromote, "full": rollout.VerbFull, "pause": rollout.VerbPause, "resume": rollout.VerbResume,
	"approve": rollout.VerbApprove, "reject": rollout.VerbReject, "weights": rollout.VerbWeights,
	verbAbort: rollout.VerbRevert, verbRevert: rollout.VerbRevert,
}

// Bounds of an act.
const (
	maxBody  = 16 << 10
	maxWords = 500 // letters of a reason
	actLimit = time.Minute
)

// act carries out a POST of an act.
func (s *server) act(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		fail(c, http.StatusRequestEntityTooLarge, "too_long", err)
		return
	}
	a, err := readAct(c.ContentType(), body)
	if err != nil {
		fail(c, http.StatusBadRequest, "bad_act", err)
		return
	}
	p := principal(c)
	if need := a.role(); !p.May(need) {
		s.audit(c, a, "refused")
		fail(c, http.StatusForbidden, "not_allowed", fmt.Errorf("%s is %s; `%s` takes %s", p.Name, p.Role, a.Verb, need))
		return
	}
	a.By = s.by(p, a.By)
	s.once(c, p.Name, body, func() { s.perform(c, a) })
}

func readAct(kind string, body []byte) (Act, error) {
	var a Act
	if kind != "application/json" {
		return a, fmt.Errorf("content type %q: want application/json", kind)
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("read the act: %w", err)
	}
	return a, a.check()
}

func (a Act) check() error {
	if _, ok := verbs[a.Verb]; !ok {
		return fmt.Errorf("verb %q: want promote, full, pause, resume, approve, reject, weights, abort or revert", a.Verb)
	}
	if a.Weight < 0 || a.Weight > 100 || a.Weight != 0 && a.Verb != string(rollout.VerbWeights) {
		return fmt.Errorf("weight %d: want 0 to 100, with weights alone", a.Weight)
	}
	if a.Force && a.Verb != verbAbort && a.Verb != verbRevert {
		return fmt.Errorf("force: %s has none", a.Verb)
	}
	if a.To != "" {
		if a.Verb != verbRevert {
			return fmt.Errorf("to: %s has none", a.Verb)
		}
		if err := traffic.CheckRelease(a.To); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"why": a.Why, "by": a.By, "rollout": a.Rollout} {
		if len([]rune(text)) > maxWords || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("%s: want a line of at most %d letters", name, maxWords)
		}
	}
	return nil
}

// role is what an act takes.
func (a Act) role() access.Role {
	if a.Force || a.Verb == string(rollout.VerbWeights) {
		return access.Admin
	}
	return access.Operator
}

// by names who acts: the token's owner, or, where there are no tokens, whoever says so.
func (s *server) by(p access.Principal, claimed string) string {
	switch {
	case !s.Gate.Open():
		return p.Name
	case claimed != "":
		return claimed + "@" + guard.Who()
	}
	return p.Name + "@" + guard.Who()
}

func (s *server) perform(c *gin.Context, a Act) {
	// It goes on where the browser leaves meanwhile: half an act is worse than one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), actLimit)
	defer cancel()
	rec, err := s.carryOut(ctx, c.Param("model"), a)
	if err != nil {
		s.audit(c, a, err.Error())
		refuse(c, err)
		return
	}
	s.audit(c, a, "accepted")
	c.JSON(http.StatusAccepted, Accepted{Rollout: rec.ID, Release: rec.Release, Phase: rec.Phase})
}

// carryOut leaves an act with the rollout under way, or begins one that goes back.
func (s *server) carryOut(ctx context.Context, model string, a Act) (rollout.Record, error) {
	if a.To == "" {
		rec, err := s.Guard.AskOf(ctx, model, a.Rollout, rollout.Request{
			Verb: verbs[a.Verb], Weight: a.Weight, Force: a.Force, By: a.By, Why: a.Why, At: time.Now(),
		})
		if a.Verb != verbRevert || a.Rollout != "" || !errors.Is(err, guard.ErrNone) {
			return rec, err
		}
	}
	rec, err := deploy.Previous(ctx, s.Nomad, s.Consul, model, a.To, a.By)
	if err != nil {
		return rec, err
	}
	if a.Why != "" {
		rec.Events = append(rec.Events, rollout.Event{
			At: rec.Created, Phase: rec.Phase, What: "asked to go back to " + rec.Release + ": " + a.Why, By: a.By,
		})
	}
	return s.Guard.Submit(ctx, rec)
}

// audit writes who did what, and what came of it.
func (s *server) audit(c *gin.Context, a Act, outcome string) {
	s.Log.Info("act", "by", principal(c).Name, "role", principal(c).Role, "from", c.Request.RemoteAddr,
		"model", c.Param("model"), "verb", a.Verb, "weight", a.Weight, "force", a.Force, "to", a.To,
		"rollout", a.Rollout, "why", a.Why, "outcome", outcome)
}
