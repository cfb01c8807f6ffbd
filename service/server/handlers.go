package server

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/telemetry"
)

// fixedHeaders are header values that every answer shares, so that setting them allocates nothing.
type fixedHeaders struct {
	release, json, binary, closing, retryAfter, allowGet, allowPost []string
	lengths                                                         [1024][]string
}

func newFixedHeaders(release string) fixedHeaders {
	h := fixedHeaders{
		release: []string{release}, json: []string{"application/json"},
		binary: []string{"application/octet-stream"}, closing: []string{"close"},
		retryAfter: []string{"1"}, allowGet: []string{"GET, HEAD"}, allowPost: []string{"POST"},
	}
	for i := range h.lengths {
		h.lengths[i] = []string{strconv.Itoa(i)}
	}
	return h
}

func (h *fixedHeaders) length(n int) []string {
	if n < len(h.lengths) {
		return h.lengths[n]
	}
	return []string{strconv.Itoa(n)}
}

// common goes around every handler: it sets the headers that all answers carry and turns a panic into a 500.
func (s *Server) common(c *gin.Context) {
	defer s.recovered(c)
	h := c.Writer.Header()
	h["X-Model-Release"] = s.headers.release
	h["X-Request-Id"] = s.ids.of(c.Request.Header)
	if s.draining.Load() {
		h["Connection"] = s.headers.closing
	}
	c.Next()
}

// traced goes around every handler where traces are exported.
func (s *Server) traced(c *gin.Context) {
	ctx, span := s.opts.Tracing.Request(c.Request, c.FullPath(), c.Writer.Header().Get("X-Request-Id"))
	c.Request = c.Request.WithContext(ctx)
	status := http.StatusInternalServerError // stays if there is a panic
	defer func() { span.End(status) }()
	c.Next()
	status = c.Writer.Status()
}

func (s *Server) recovered(c *gin.Context) {
	r := recover()
	if r == nil {
		return
	}
	if err, ok := r.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(r)
	}
	s.log.LogAttrs(c.Request.Context(), slog.LevelError, "panic while answering", append(telemetry.LogAttrs(c.Request),
		slog.String("path", c.Request.URL.Path), slog.String("request_id", c.Writer.Header().Get("X-Request-Id")),
		slog.Any("err", r))...)
	if !c.Writer.Written() {
		s.fail(c, http.StatusInternalServerError, "the server failed at this request; its log says why")
	}
}

// States of the health answer.
const (
	healthOK = iota
	healthLoading
	healthDraining
)

// getHealth says whether the server takes predictions.
func (s *Server) getHealth(c *gin.Context) {
	code, state := http.StatusOK, healthOK
	switch {
	case s.draining.Load():
		code, state = http.StatusServiceUnavailable, healthDraining
	case s.model.Load() == nil:
		code, state = http.StatusServiceUnavailable, healthLoading
	}
	s.answer(c, code, s.health[state])
}

// noRoute answers requests for paths that there are not.
func (s *Server) noRoute(c *gin.Context) {
	s.fail(c, http.StatusNotFound, "there is nothing at this path: want /predict, /health, /metrics, /v2, /docs or "+
		"/openapi.json")
}

// noMethod answers requests with a method that their path doesn't have.
func (s *Server) noMethod(c *gin.Context) {
	allow, want := s.headers.allowGet, "GET"
	switch path := c.Request.URL.Path; {
	case path == "/predict":
		allow, want = s.headers.allowPost, `POST with a body such as {"x":[1,2,3]}`
		s.metrics.count(method)
	case strings.HasSuffix(path, "/infer"):
		allow, want = s.headers.allowPost, "POST with a body such as "+inference.shape
		s.metrics.count(method)
	case path != "/health":
		allow = []string{"GET"}
	}
	c.Writer.Header()["Allow"] = allow
	s.fail(c, http.StatusMethodNotAllowed, "the method is not allowed for this path: want "+want)
}

// answer writes a JSON body.
func (s *Server) answer(c *gin.Context, code int, body []byte) {
	s.respond(c, code, s.headers.json, body)
}

// respond writes a body.
func (s *Server) respond(c *gin.Context, code int, contentType []string, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = s.headers.length(len(body))
	if s.draining.Load() { // it may have begun while the request was running
		h["Connection"] = s.headers.closing
	}
	c.Writer.WriteHeader(code)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	_, _ = c.Writer.Write(body) // the client may be gone, and there is nobody to tell
}

// jsonContent reports whether a body of this type is read as JSON. Clients such as `curl -d` name a form although
// they send JSON, and some name nothing.
func jsonContent(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/json", "text/json", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded":
		return true
	}
	return false
}

// seen notes that a prediction request came or was answered.
func (s *Server) seen(t time.Time) { s.lastSeen.Store(t.UnixNano()) }
