package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/deployer/board"
)

// Bounds of streams.
const (
	maxStreams = 512
	beat       = 3 * time.Second  // the longest silence
	slowest    = 10 * time.Second // for a browser to take what is sent
)

var errStreams = errors.New("too many streams are open: try again later")

// stream writes server-sent events.
type stream struct {
	c      *gin.Context
	out    *http.ResponseController
	cursor string
}

// open begins a stream where the browser's last one ended; nil where there are too many.
func (s *server) open(c *gin.Context) (*stream, func()) {
	select {
	case s.streams <- struct{}{}:
	default:
		c.Header("Retry-After", "5")
		fail(c, http.StatusServiceUnavailable, "too_many_streams", errStreams)
		return nil, nil
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // for an nginx in front
	c.Writer.WriteHeader(http.StatusOK)
	st := &stream{c: c, out: http.NewResponseController(c.Writer), cursor: c.GetHeader("Last-Event-ID")}
	return st, func() { <-s.streams }
}

// send writes one event; id may be empty.
func (st *stream) send(id, event string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("write event %s: %w", event, err)
	}
	if err := st.out.SetWriteDeadline(time.Now().Add(slowest)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, err = fmt.Fprintf(st.c.Writer, "%sevent: %s\ndata: %s\n\n", id, event, body)
	return err
}

// run sends what there is after each change, and a sign of life otherwise, until the browser leaves or its user's token
// counts no more.
func (s *server) run(st *stream, news func() (<-chan struct{}, error)) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		next, err := news()
		if err == nil {
			err = st.out.Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-st.c.Request.Context().Done():
			return
		case <-next:
		case <-tick.C:
			p, err := s.Gate.Recognise(st.c.Request)
			if model := st.c.Param("model"); err != nil || model != "" && !p.Sees(model) {
				return
			}
			st.c.Set(keyPrincipal, p)
			if err := st.send("", "alive", s.Board.Fresh()); err != nil {
				return
			}
		}
	}
}

// events streams the changes of the list of models.
func (s *server) events(c *gin.Context) {
	st, end := s.open(c)
	if st == nil {
		return
	}
	defer end()
	defer s.Board.Look()()
	var fresh board.Freshness
	s.run(st, func() (<-chan struct{}, error) {
		changes, next, whole := s.Board.Since(st.cursor)
		if *changes.Freshness != fresh {
			fresh = *changes.Freshness
			if err := st.send("", "alive", fresh); err != nil {
				return next, err
			}
		}
		if !whole || changes.Cursor == st.cursor {
			return next, nil
		}
		seen := visible(principal(c), changes)
		st.cursor = changes.Cursor
		if !seen.Full && len(seen.Changed)+len(seen.Removed) == 0 {
			return next, nil
		}
		return next, st.send(st.cursor, "models", seen)
	})
}

// sampled is the data of an event with samples.
type sampled struct {
	Samples []board.Sample `json:"samples"`
	Outputs *board.Outputs `json:"outputs"`
}

// modelEvents streams the page of a model and what its instances do.
func (s *server) modelEvents(c *gin.Context) {
	st, end := s.open(c)
	if st == nil {
		return
	}
	defer end()
	model := c.Param("model")
	defer s.Board.LookAt(model)()
	var fresh board.Freshness
	var gone error
	s.run(st, func() (<-chan struct{}, error) {
		n, next := s.Board.NewsOf(model, st.cursor)
		if n.Err != nil && gone == nil {
			p := Problem{http.StatusText(http.StatusNotFound), http.StatusNotFound, "no_model", n.Err.Error()}
			if err := st.send(n.Cursor, "gone", p); err != nil {
				return next, err
			}
		}
		gone = n.Err
		if n.Freshness != fresh {
			fresh = n.Freshness
			if err := st.send("", "alive", fresh); err != nil {
				return next, err
			}
		}
		if n.Page != nil {
			if err := st.send(n.Cursor, "page", n.Page); err != nil {
				return next, err
			}
		}
		if len(n.Samples) > 0 {
			if err := st.send(n.Cursor, "samples", sampled{n.Samples, n.Outputs}); err != nil {
				return next, err
			}
		}
		st.cursor = n.Cursor
		return next, nil
	})
}
