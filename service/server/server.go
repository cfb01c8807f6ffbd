// Package server answers prediction requests for one model over HTTP.
//
//	GET  /health   200 {"status":"ok","version":"v1.0.0"} once the model is loaded, 503 before that and while leaving
//	POST /predict  {"x":[1,2,3]} or {"x":[[1,2,3],[4,5,6]]} → {"prediction":[1],"model_version":"v1.0.0"}
//	               with "probabilities":true or "decision":true beside x, the answer has a member of that name too
//	GET  /metrics  Prometheus text
//	GET  /docs     a page to try the model, and /openapi.json
//	     /v2/…     the Open Inference Protocol (package v2)
//
// Life of a server: New listens; Run loads the model while requests are already answered (503), serves, and drains
// when its context ends: health turns 503, answers ask clients to close their connections, and once requests have
// stopped coming the listener is closed.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/ring"
	"github.com/weirhq/weir/service/telemetry"
	"github.com/weirhq/weir/service/v2"
	"github.com/weirhq/weir/service/wire"
)

// Options configure a server.
type Options struct {
	config.Config
	Logger *slog.Logger
	// Tracing, if set, gets a span of each request. Its owner stops it after the server.
	Tracing *telemetry.Tracing
	// Wrap, if set, goes around the handler of all requests. Tests inject faults with it.
	Wrap func(http.Handler) http.Handler
	// Computing, if set, is called while a request holds a place among those being computed. Tests hold it there.
	Computing func(requestID string)
}

// Server serves one model.
type Server struct {
	opts     Options
	log      *slog.Logger
	listener net.Listener
	handler  http.Handler
	metrics  *metrics
	headers  fixedHeaders
	health   [3][]byte // bodies, by state
	model    atomic.Pointer[served]
	draining atomic.Bool
	inFlight atomic.Int64
	lastSeen atomic.Int64 // when the last prediction request came or was answered, in Unix nanoseconds
	suffix   []byte       // the end of every answer
	works    sync.Pool
	ids      *requestIDs
	gate     *gate
	bodies   atomic.Int64 // bytes of large bodies
	ring     *ring.Ring
	ringFrom []netip.Prefix
}

// served is a loaded model with what its answers are made of.
type served struct {
	*model.Model
	digest string
	schema *wire.Schema
	labels [][][]byte // of each output of a classifier, as JSON
	counts classCounters

	classes  *v2.Labels
	outputs  []v2.TensorMetadata
	metadata []byte
	document []byte
	scorer   *scorer
}

// New makes a server and listens. Run must follow, or Close.
func New(ctx context.Context, opts Options) (*Server, error) {
	s := newServer(opts)
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", opts.ListenAddr); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", opts.ListenAddr, err)
	}
	return s, nil
}

func newServer(opts Options) *Server {
	s := &Server{opts: opts, log: opts.Logger, ids: newRequestIDs(), gate: newGate(opts.Config)}
	s.metrics = newMetrics(opts.Config, func() float64 { return float64(s.inFlight.Load()) })
	s.ring, s.ringFrom = ring.New(opts.RingSize), prefixes(opts.RingFrom)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("model", opts.ModelName, "release", opts.ModelRelease)
	s.headers = newFixedHeaders(opts.ModelRelease)
	version := wire.Text(opts.ModelVersion)
	for i, status := range []string{"ok", "loading", "draining"} {
		s.health[i] = fmt.Appendf(nil, `{"status":%q,"version":%s}`, status, version)
	}
	s.suffix = fmt.Appendf(nil, `,"model_version":%s}`, version)
	s.works.New = func() any { return &work{} }
	s.handler = s.routes()
	if opts.Wrap != nil {
		s.handler = opts.Wrap(s.handler)
	}
	return s
}

// routes builds the gin engine.
func (s *Server) routes() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.Use(s.common)
	if s.opts.Tracing != nil {
		e.Use(s.traced)
	}
	e.GET("/health", s.getHealth)
	e.HEAD("/health", s.getHealth)
	e.POST("/predict", s.postPredict)
	e.GET("/metrics", gin.WrapH(s.metrics.handler()))
	e.GET("/weir/ring", s.getRing)
	e.GET("/openapi.json", s.getDocument)
	e.GET("/docs", s.getPage)
	s.inferenceRoutes(e)
	e.NoRoute(s.noRoute)
	e.NoMethod(s.noMethod)
	return e
}

// Addr is where the server listens, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Handler answers the requests. It works without a listener.
func (s *Server) Handler() http.Handler { return s.handler }

// Close stops listening. It is for a server that is never run.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil {
		return fmt.Errorf("close listener: %w", err)
	}
	return nil
}

// Run loads the model, serves until ctx ends, and drains. It returns an error if the model can't be loaded, if
// serving fails, or if requests are still running when the drain time is over.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler: s.handler, ReadTimeout: s.opts.ReadTimeout, WriteTimeout: s.opts.WriteTimeout,
		ReadHeaderTimeout: min(10*time.Second, s.opts.ReadTimeout), IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	defer func() { _ = srv.Close() }()
	stopPprof, err := s.servePprof(ctx)
	if err != nil {
		return err
	}
	defer stopPprof()
	serve := make(chan error, 1)
	go func() { serve <- srv.Serve(s.listener) }()
	load := make(chan error, 1)
	go func() { load <- s.Load() }()
	for {
		select {
		case err := <-load:
			if err != nil {
				return err
			}
			load = nil
		case err := <-serve:
			return fmt.Errorf("serve on %s: %w", s.opts.ListenAddr, err)
		case <-ctx.Done():
			return s.drain(context.WithoutCancel(ctx), srv)
		}
	}
}

// Load reads and checks the model, and makes the server ready. Run calls it.
func (s *Server) Load() error {
	start := time.Now()
	m, digest, err := model.LoadFile(s.opts.ModelPath, s.opts.ModelDigest)
	if err != nil {
		return err
	}
	v := &served{
		Model: m, digest: digest, schema: wire.NewSchema(m.Names, m.TakesText(), m.Missing, m.Documents),
	}
	if v.labels, err = labelTexts(m); err != nil {
		return fmt.Errorf("load model %s: %w", s.opts.ModelPath, err)
	}
	if err := v.describe(s.opts.Config); err != nil {
		return fmt.Errorf("load model %s: %w", s.opts.ModelPath, err)
	}
	v.counts = s.metrics.classes(outputLabels(m))
	v.scorer = newScorer(m, s.metrics)
	s.metrics.loaded(s.opts.Config, digest, m)
	s.model.Store(v)
	s.log.Info("model is loaded", "class", m.Class, "sklearn", m.Sklearn, "digest", digest, "columns", m.In,
		"took", time.Since(start).String())
	return nil
}

// outputLabels returns the labels of each output.
func outputLabels(m *model.Model) [][]any {
	if m.Outputs == nil {
		return [][]any{m.Labels}
	}
	return m.Outputs
}

// labelTexts returns the labels of each output as JSON.
func labelTexts(m *model.Model) ([][][]byte, error) {
	outputs := outputLabels(m)
	texts := make([][][]byte, len(outputs))
	for o, labels := range outputs {
		for i, label := range labels {
			text, err := wire.Label(label)
			if err != nil {
				return nil, fmt.Errorf("class %d: %w", i, err)
			}
			texts[o] = append(texts[o], text)
		}
	}
	return texts, nil
}

// drain lets requests end, and then closes the listener.
func (s *Server) drain(ctx context.Context, srv *http.Server) error {
	s.draining.Store(true)
	s.log.Info("draining", "in_flight", s.inFlight.Load())
	ctx, cancel := context.WithTimeout(ctx, s.opts.DrainTimeout)
	defer cancel()
	s.awaitQuiet(ctx)
	if err := srv.Shutdown(ctx); err != nil {
		n := s.inFlight.Load()
		return errors.Join(fmt.Errorf("drain for %s: %d requests were still running: %w", s.opts.DrainTimeout, n, err),
			srv.Close())
	}
	s.log.Info("drained")
	return nil
}

// awaitQuiet returns when no prediction request has been running or has come for DrainQuiet.
func (s *Server) awaitQuiet(ctx context.Context) {
	s.lastSeen.Store(time.Now().UnixNano())
	timer := time.NewTimer(s.opts.DrainQuiet)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		left := s.opts.DrainQuiet - time.Since(time.Unix(0, s.lastSeen.Load()))
		if s.inFlight.Load() == 0 && left <= 0 {
			return
		}
		timer.Reset(max(left, 5*time.Millisecond))
	}
}
