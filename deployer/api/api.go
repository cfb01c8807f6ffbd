// Package api is the daemon's HTTP API: what there is to see of the models, the acts of operators, and a stream of what
// changes. openapi.json describes it.
package api

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/board"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/traffic"
)

// Document is the OpenAPI document of the API.
//
//go:embed openapi.json
var Document []byte

// Prefix is the path below which the API lies.
const Prefix = "/api/v1"

// Config is what the API works on.
type Config struct {
	Board  *board.Board
	Gate   *access.Gate
	Guard  *guard.Guard
	Nomad  *nomad.Client
	Consul *consul.Client
	Log    *slog.Logger
}

type server struct {
	Config
	answers answers
	streams chan struct{} // one for each stream that is open
}

// readLimit bounds how long a question may wait for Consul.
const readLimit = 10 * time.Second

// Routes adds the API to an engine.
func Routes(e *gin.Engine, cfg Config) {
	s := &server{Config: cfg, answers: newAnswers(), streams: make(chan struct{}, maxStreams)}
	g := e.Group(Prefix, noStore)
	g.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", Document) })
	g = g.Group("", s.recognise)
	g.GET("/session", s.session)
	g.GET("/models", s.models)
	g.GET("/events", s.events)
	m := g.Group("/models/:model", s.sees)
	m.GET("", s.model)
	m.GET("/events", s.modelEvents)
	m.GET("/rollouts/:id", s.rollout)
	m.POST("/acts", s.act)
}

func noStore(c *gin.Context) { c.Header("Cache-Control", "no-store") }

const keyPrincipal = "principal"

// recognise finds out who asks, or refuses.
func (s *server) recognise(c *gin.Context) {
	p, err := s.Gate.Recognise(c.Request)
	if err != nil {
		refuse(c, err)
		return
	}
	c.Set(keyPrincipal, p)
}

func principal(c *gin.Context) access.Principal { return c.MustGet(keyPrincipal).(access.Principal) }

// sees refuses models that the asker may not know of.
func (s *server) sees(c *gin.Context) {
	model := c.Param("model")
	if err := traffic.CheckModel(model); err != nil {
		fail(c, http.StatusBadRequest, "bad_model", err)
	} else if !principal(c).Sees(model) {
		fail(c, http.StatusNotFound, "no_model", board.ErrNoModel)
	}
}

// whose is what a page must know of its user.
type whose struct {
	access.Principal
	CSRF string `json:"csrf,omitempty"` // to be sent as X-CSRF-Token with each act
	Open bool   `json:"open"`           // nobody needs a token: an act says by itself who acts
}

func (s *server) session(c *gin.Context) {
	c.JSON(http.StatusOK, whose{principal(c), s.Gate.CSRF(c.Request), s.Gate.Open()})
}

func (s *server) models(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readLimit)
	defer cancel()
	all, err := s.Board.Models(ctx)
	if err != nil {
		refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"models": visible(principal(c), all).Changed, "freshness": all.Freshness})
}

// visible leaves out what somebody may not see.
func visible(p access.Principal, all board.Changes) board.Changes {
	all.Changed = slices.DeleteFunc(all.Changed, func(m board.Summary) bool { return !p.Sees(m.Model) })
	all.Removed = slices.DeleteFunc(all.Removed, func(m string) bool { return !p.Sees(m) })
	return all
}

func (s *server) model(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readLimit)
	defer cancel()
	page, err := s.Board.Page(ctx, c.Param("model"))
	if err != nil {
		refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}

func (s *server) rollout(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readLimit)
	defer cancel()
	r, err := s.Board.Rollout(ctx, c.Param("model"), c.Param("id"))
	if errors.Is(err, consul.ErrNoRecord) {
		fail(c, http.StatusNotFound, "no_rollout", err)
		return
	}
	if err != nil {
		refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, r)
}
