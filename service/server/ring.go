package server

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/ring"
)

// ringLine is one line of /weir/ring.
type ringLine struct {
	Seq        uint64          `json:"seq"`
	Time       time.Time       `json:"time"`
	RequestID  string          `json:"request_id"`
	Error      string          `json:"error,omitempty"`
	Row        int             `json:"row"`
	Rows       int             `json:"rows"`
	Prediction json.RawMessage `json:"prediction,omitempty"`
	Score      *float64        `json:"score,omitempty"`
}

// getRing writes the last predictions and refusals as lines of JSON, the oldest first: those after the sequence number
// ?after=, at most ?limit= of them. Only the first 16 rows of a request and the first 8 outputs of a row are in it.
// X-Weir-Instance names the process: in another one, the numbers begin anew.
func (s *Server) getRing(c *gin.Context) {
	if !s.mayReadRing(c.Request) {
		s.fail(c, http.StatusForbidden, "the last predictions are for "+s.opts.RingFrom+" only: see --ring-from")
		return
	}
	after, err := strconv.ParseUint(c.DefaultQuery("after", "0"), 10, 64)
	limit, err2 := strconv.Atoi(c.DefaultQuery("limit", strconv.Itoa(s.opts.RingSize)))
	if err != nil || err2 != nil || limit < 1 {
		s.fail(c, http.StatusBadRequest, "want ?after=<sequence number>&limit=<lines>, both numbers")
		return
	}
	entries := make([]ring.Entry, min(limit, s.opts.RingSize))
	n := s.ring.After(after, entries)
	m := s.model.Load()
	h := c.Writer.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("X-Weir-Instance", s.ids.name())
	out := json.NewEncoder(c.Writer)
	for i := range entries[:n] {
		if out.Encode(m.line(&entries[i])) != nil {
			return // the client is gone
		}
	}
}

func (m *served) line(e *ring.Entry) ringLine {
	l := ringLine{
		Seq: e.Seq, Time: time.Unix(0, e.Time).UTC(), RequestID: e.ID, Error: e.Error, Row: e.Row, Rows: e.Rows,
	}
	if e.Score-e.Score == 0 {
		l.Score = &e.Score
	}
	if e.Error != "" {
		return l
	}
	for o, v := range e.Values[:e.Outputs] {
		switch {
		case o > 0:
			l.Prediction = append(l.Prediction, ',')
		case m.Vector || m.Outputs != nil:
			l.Prediction = append(l.Prediction, '[')
		}
		if m.Kind == model.Classifier {
			l.Prediction = append(l.Prediction, m.labels[o][int(v)]...)
		} else {
			l.Prediction = appendValue(l.Prediction, v)
		}
	}
	if m.Vector || m.Outputs != nil {
		l.Prediction = append(l.Prediction, ']')
	}
	return l
}

func (s *Server) mayReadRing(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range s.ringFrom {
		if p.Contains(from.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// prefixes reads a list of networks, which package config has checked.
func prefixes(list string) []netip.Prefix {
	var out []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}
