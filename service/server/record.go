package server

import (
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/ring"
	"github.com/weirhq/weir/service/telemetry"
)

// ended counts a request, and tells logs and traces of it.
func (s *Server) ended(c *gin.Context, w *work, how kind, start time.Time) {
	end := time.Now()
	took := end.Sub(start)
	s.metrics.count(how)
	s.metrics.latency.Observe(took.Seconds())
	s.record(w, how, start)
	if s.opts.Tracing != nil {
		telemetry.Prediction(c.Request.Context(), w.rows.Count, how.String())
	}
	if s.opts.LogRequests || how == broken {
		s.logRequest(c, w, how, took)
	}
	s.inFlight.Add(-1)
	s.seen(end)
	if how != panicked {
		s.release(w)
	} else {
		s.bodies.Add(-int64(w.reserved))
	}
}

// logRequest writes a line about a request.
func (s *Server) logRequest(c *gin.Context, w *work, how kind, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("path", c.Request.URL.Path), slog.Int("code", how.code()), slog.Duration("took", took),
		slog.String("request_id", w.id),
	}
	if how == none {
		attrs = append(attrs, slog.Int("rows", w.rows.Count))
	} else {
		attrs = append(attrs, slog.String("err", how.String()))
	}
	level := slog.LevelInfo
	if how.code() == http.StatusInternalServerError {
		level = slog.LevelError
	}
	attrs = append(attrs, telemetry.LogAttrs(c.Request)...)
	s.log.LogAttrs(c.Request.Context(), level, "prediction request", attrs...)
}

// record counts what was answered, and puts it into the ring.
func (s *Server) record(w *work, how kind, start time.Time) {
	if how != none {
		w.entries[0] = ring.Entry{Time: start.UnixNano(), ID: w.id, Error: how.String(), Score: math.NaN()}
		s.ring.Add(w.entries[:1])
		return
	}
	m := s.model.Load()
	s.metrics.batch.Observe(float64(w.rows.Count))
	m.count(w)
	n := min(w.rows.Count, scoredRows)
	for r := range n {
		e := &w.entries[r]
		e.Time, e.ID, e.Error, e.Row, e.Rows = start.UnixNano(), w.id, "", r, w.rows.Count
		e.Outputs = copy(e.Values[:], w.out[r*m.Out:(r+1)*m.Out])
		e.Score = w.scores[r]
	}
	s.ring.Add(w.entries[:n])
}

// count counts a request's predictions and its score.
func (m *served) count(w *work) {
	if m.Kind == model.Classifier {
		m.counts.requests[int(w.out[0])].Inc()
		for r := range w.rows.Count {
			for o, counters := range m.counts.rows {
				counters[int(w.out[r*m.Out+o])].Inc()
			}
		}
	}
	if v := w.scores[0]; v == v && m.scorer != nil {
		m.scorer.sketch.Observe(v)
	}
}
