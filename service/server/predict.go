package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/wire"
)

// work is the memory of one request. It goes back to the pool with the buffers it has grown.
type work struct {
	body    []byte
	rows    wire.Rows
	out     []float64 // the predictions
	proba   []float64 // as far as the request asks for them
	values  []float64 // decision values, likewise
	answer  []byte
	scratch model.Scratch
}

// maxPooled is the largest body or number of values for which a work is kept.
const maxPooled = 1 << 18

func (s *Server) release(w *work) {
	if cap(w.body) <= maxPooled && cap(w.rows.X) <= maxPooled && cap(w.answer) <= maxPooled {
		s.works.Put(w)
	}
}

// failure is an answer that is no prediction.
type failure struct {
	code   int
	reason string
}

// shape is what a request should be, for error texts.
const shape = `want {"x":[numbers]} or {"x":[[numbers],…]}, and "probabilities":true or "decision":true beside it`

// postPredict answers one prediction request.
func (s *Server) postPredict(c *gin.Context) {
	start := time.Now()
	s.seen(start)
	s.inFlight.Add(1)
	s.metrics.inFlight.Inc()
	code := http.StatusInternalServerError // stays if there is a panic
	defer func() {
		end := time.Now()
		s.metrics.observe(code, end.Sub(start))
		s.metrics.inFlight.Dec()
		s.inFlight.Add(-1)
		s.seen(end)
	}()
	w, _ := s.works.Get().(*work)
	if f := s.predict(c.Request, w); f != nil {
		code = f.code
		if code == http.StatusRequestEntityTooLarge {
			c.Writer.Header()["Connection"] = s.headers.closing // the rest of the body is not read
		}
		s.fail(c, code, f.reason)
	} else {
		code = http.StatusOK
		s.answer(c, code, w.answer)
	}
	s.release(w)
}

// predict fills w.answer.
func (s *Server) predict(r *http.Request, w *work) *failure {
	m := s.model.Load()
	if m == nil {
		return &failure{http.StatusServiceUnavailable, "the model is being loaded: try again when /health answers 200"}
	}
	if f := s.readBody(r, w); f != nil {
		return f
	}
	if err := w.rows.Parse(w.body, s.opts.MaxRows, m.Missing); err != nil {
		if tooMany := (*wire.TooManyRowsError)(nil); errors.As(err, &tooMany) {
			return &failure{http.StatusRequestEntityTooLarge, err.Error()}
		}
		return &failure{http.StatusBadRequest, "the body is not a prediction request: " + err.Error() + "; " + shape}
	}
	if w.rows.Width != m.In && m.In >= 0 {
		return wrongWidth(m.Model, &w.rows)
	}
	if f := m.apply(w); f != nil {
		return f
	}
	return s.write(m, w)
}

// readBody reads the body into w.body, up to the limit.
func (s *Server) readBody(r *http.Request, w *work) *failure {
	encoding := r.Header.Get("Content-Encoding")
	if !jsonContent(r.Header.Get("Content-Type")) || encoding != "" && encoding != "identity" {
		return &failure{http.StatusUnsupportedMediaType, "the body must be JSON, not compressed (Content-Type: " +
			"application/json); " + shape}
	}
	limit := s.opts.MaxBody
	if r.ContentLength > int64(limit) {
		return tooLarge(limit)
	}
	if need := max(512, int(r.ContentLength)+1); cap(w.body) < need {
		w.body = make([]byte, 0, need)
	}
	w.body = w.body[:0]
	for {
		n, err := r.Body.Read(w.body[len(w.body):cap(w.body)])
		w.body = w.body[:len(w.body)+n]
		if len(w.body) > limit {
			return tooLarge(limit)
		}
		if err == io.EOF { //nolint:errorlint // the Reader contract is this value itself
			return nil
		}
		if err != nil {
			return &failure{http.StatusBadRequest, "the body could not be read to its end: send it anew"}
		}
		if len(w.body) == cap(w.body) {
			w.body = append(w.body, 0)[:len(w.body)]
		}
	}
}

func tooLarge(limit int) *failure {
	return &failure{
		http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body is larger than %d bytes: send the rows in several requests", limit),
	}
}

// maxNamed is the number of columns up to which error texts name all of them.
const maxNamed = 16

func wrongWidth(m *model.Model, r *wire.Rows) *failure {
	reason := fmt.Sprintf("x has %d numbers in a row, but the model takes %d", r.Width, m.In)
	if len(m.Names) > 0 && len(m.Names) <= maxNamed {
		reason += fmt.Sprintf(": %q", m.Names)
	}
	return &failure{http.StatusBadRequest, reason}
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
	w.out = resize(w.out, n*m.Out)
	if err := m.Predict(w.rows.X, n, w.out, &w.scratch); err != nil {
		return computeFailure(err)
	}
	if w.rows.Probabilities {
		if m.Proba == 0 {
			return &failure{http.StatusBadRequest, "the model has no probabilities: leave \"probabilities\" out"}
		}
		w.proba = resize(w.proba, n*m.Proba)
		if err := m.Probabilities(w.rows.X, n, w.proba, &w.scratch); err != nil {
			return computeFailure(err)
		}
	}
	if w.rows.Decision {
		if m.Decision == 0 {
			return &failure{http.StatusBadRequest, "the model has no decision values: leave \"decision\" out"}
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
		return &failure{http.StatusBadRequest, "x can't be used: " + err.Error()}
	}
	return &failure{http.StatusInternalServerError, "the model can't be computed: " + err.Error()}
}
