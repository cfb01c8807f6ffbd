package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/ring"
	"github.com/weirhq/weir/service/wire"
)

// work is the memory of one request. It goes back to the pool with the buffers it has grown.
type work struct {
	id       string
	body     []byte
	reserved int // bytes of body that count as memory for bodies
	rows     wire.Rows
	out      []float64 // the predictions
	proba    []float64 // as far as the request asks for them
	values   []float64 // decision values, likewise
	answer   []byte
	scratch  model.Scratch
	tensors  tensors // of an inference request

	sample  []float64 // probabilities or decision values that nobody asked for
	scores  [scoredRows]float64
	entries [scoredRows]ring.Entry
}

// maxPooled is the largest body or number of values for which a work is kept.
const maxPooled = 1 << 18

func (s *Server) release(w *work) {
	s.bodies.Add(-int64(w.reserved))
	w.reserved = 0
	if max(cap(w.body), cap(w.rows.X), cap(w.rows.Texts), cap(w.answer)) <= maxPooled {
		s.works.Put(w)
	}
}

// protocol is one way to ask for predictions.
type protocol struct {
	// accepts reports whether the protocol has bodies of this type.
	accepts func(contentType string) bool
	// read reads w.body into w.rows, with what the request asks for.
	read func(s *Server, m *served, r *http.Request, w *work) *failure
	// write builds w.answer.
	write func(s *Server, m *served, w *work) *failure
	// send sends it.
	send func(s *Server, c *gin.Context, w *work)
	// shape is what a body should be, for error texts.
	shape string
}

// plain is the protocol of /predict.
var plain = &protocol{
	accepts: jsonContent, read: (*Server).readRows, write: (*Server).write,
	send:  func(s *Server, c *gin.Context, w *work) { s.answer(c, http.StatusOK, w.answer) },
	shape: shape,
}

// shape is what a body of /predict should be.
const shape = `want {"x":[cells]}, {"x":[[cells],…]}, or {"column":cell,…} in place of [cells], a cell being a number, ` +
	`text or null as the model takes it, and "probabilities":true or "decision":true beside it`

func (s *Server) postPredict(c *gin.Context) { s.predict(c, plain) }

// predict answers one prediction request.
func (s *Server) predict(c *gin.Context, p *protocol) {
	start := time.Now()
	s.seen(start)
	s.inFlight.Add(1)
	w, _ := s.works.Get().(*work)
	w.id = c.Writer.Header()["X-Request-Id"][0]
	ended := panicked // stays if there is a panic
	defer func() { s.ended(c, w, ended, start) }()
	if f := s.run(c.Request, w, p); f != nil {
		ended = f.kind
		s.refuse(c, f)
		return
	}
	ended = none
	p.send(s, c, w)
}

// run fills w.answer.
func (s *Server) run(r *http.Request, w *work, p *protocol) *failure {
	m := s.model.Load()
	if m == nil {
		return &failure{loading, "the model is being loaded: try again when /health answers 200"}
	}
	if f := s.readBody(r, w, p); f != nil {
		return f
	}
	if f := s.gate.enter(r.Context()); f != nil {
		return f
	}
	defer s.gate.leave()
	if s.opts.Computing != nil {
		s.opts.Computing(w.id)
	}
	if f := p.read(s, m, r, w); f != nil {
		return f
	}
	if w.rows.Width != m.In && m.In >= 0 {
		return wrongWidth(m.Model, &w.rows)
	}
	if f := m.apply(w); f != nil {
		return f
	}
	if f := p.write(s, m, w); f != nil {
		return f
	}
	m.score(w, s.opts.ScoreEvery)
	return nil
}

// readRows reads the body of a request to /predict.
func (s *Server) readRows(m *served, _ *http.Request, w *work) *failure {
	err := w.rows.Parse(w.body, s.opts.MaxRows, m.schema)
	if err == nil {
		return nil
	}
	if tooMany := (*wire.TooManyRowsError)(nil); errors.As(err, &tooMany) {
		return &failure{tooLarge, err.Error()}
	}
	return &failure{malformed, "the body is not a prediction request: " + err.Error() + "; " + shape}
}

// header returns the first value of a header. Its name must be in the canonical form.
func header(r *http.Request, name string) string {
	if v := r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// readBody reads the body into w.body, up to the limit.
func (s *Server) readBody(r *http.Request, w *work, p *protocol) *failure {
	encoding := header(r, "Content-Encoding")
	if !p.accepts(header(r, "Content-Type")) || encoding != "" && encoding != "identity" {
		return &failure{mediaType, "the body must be JSON, not compressed (Content-Type: application/json); " + p.shape}
	}
	limit := s.opts.MaxBody
	if r.ContentLength > int64(limit) {
		return tooManyBytes(limit)
	}
	need := max(512, int(r.ContentLength)+1)
	if f := s.reserve(w, need); f != nil {
		return f
	}
	if cap(w.body) < need {
		w.body = make([]byte, 0, need)
	}
	w.body = w.body[:0]
	for {
		n, err := r.Body.Read(w.body[len(w.body):cap(w.body)])
		w.body = w.body[:len(w.body)+n]
		if len(w.body) > limit {
			return tooManyBytes(limit)
		}
		if err == io.EOF { //nolint:errorlint // the Reader contract is this value itself
			return nil
		}
		if err != nil {
			return s.unreadable(err)
		}
		if len(w.body) == cap(w.body) {
			w.body = append(w.body, 0)[:len(w.body)]
			if f := s.reserve(w, cap(w.body)); f != nil {
				return f
			}
		}
	}
}

func tooManyBytes(limit int) *failure {
	return &failure{tooLarge, fmt.Sprintf("the body is larger than %d bytes: send the rows in several requests", limit)}
}

// maxNamed is the number of columns up to which error texts name all of them.
const maxNamed = 16

func wrongWidth(m *model.Model, r *wire.Rows) *failure {
	reason := fmt.Sprintf("x has %d cells in a row, but the model takes %d", r.Width, m.In)
	if len(m.Names) > 0 && len(m.Names) <= maxNamed {
		reason += fmt.Sprintf(": %q", m.Names)
	}
	return &failure{unusable, reason}
}

// resize returns a slice of n numbers that reuses the memory of v.
func resize(v []float64, n int) []float64 {
	if cap(v) < n {
		return make([]float64, n)
	}
	return v[:n]
}

// apply computes the answers.
func (m *served) apply(w *work) *failure {
	n := w.rows.Count
	if most := m.MaxRows(); n > most {
		return &failure{tooLarge, fmt.Sprintf("the model gives so many numbers for a row that a request can have %d rows",
			most)}
	}
	w.out = resize(w.out, n*m.Out)
	w.proba, w.values = w.proba[:0], w.values[:0]
	w.scratch.SetInput(w.rows.Texts, w.rows.Missing)
	if err := m.Predict(w.rows.X, n, w.out, &w.scratch); err != nil {
		return computeFailure(err)
	}
	if w.rows.Probabilities {
		if m.Proba == 0 {
			return &failure{unusable, "the model has no probabilities: leave \"probabilities\" out"}
		}
		w.proba = resize(w.proba, n*m.Proba)
		if err := m.Probabilities(w.rows.X, n, w.proba, &w.scratch); err != nil {
			return computeFailure(err)
		}
	}
	if w.rows.Decision {
		if m.Decision == 0 {
			return &failure{unusable, "the model has no decision values: leave \"decision\" out"}
		}
		w.values = resize(w.values, n*m.Decision)
		if err := m.DecisionValues(w.rows.X, n, w.values, &w.scratch); err != nil {
			return computeFailure(err)
		}
	}
	return nil
}

func computeFailure(err error) *failure {
	if outOfRange := (*model.RangeError)(nil); errors.As(err, &outOfRange) {
		return &failure{unusable, "x can't be used: " + err.Error()}
	}
	return &failure{broken, "the model can't be computed: " + err.Error()}
}
