package api

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
)

// HeaderKey names an act, so that sending it again does nothing new.
const HeaderKey = "Idempotency-Key"

// Bounds of the kept answers.
const (
	maxKey     = 200
	maxAnswers = 1000
)

// answers remembers what came of the last acts that had a key, for this process's life.
type answers struct {
	mu    sync.Mutex
	all   map[answerKey]*answer
	order []answerKey
}

type answerKey struct{ by, key string }

type answer struct {
	request [sha256.Size]byte
	done    chan struct{} // closed once the rest is set
	status  int
	kind    string
	body    []byte
}

func newAnswers() answers { return answers{all: map[answerKey]*answer{}} }

var (
	errOtherAct = errors.New("this " + HeaderKey + " was used for another act: make a new one for each")
	errLongKey  = errors.New(HeaderKey + " is too long: want at most 200 letters")
)

// once runs an act, unless one with its key was run: then it answers as that was answered. An answer that says to try
// again later is not kept.
func (s *server) once(c *gin.Context, by string, body []byte, run func()) {
	key := c.GetHeader(HeaderKey)
	if key == "" {
		run()
		return
	}
	if len(key) > maxKey {
		fail(c, http.StatusBadRequest, "bad_key", errLongKey)
		return
	}
	id := answerKey{by, key}
	a, mine := s.answers.take(id, sha256.Sum256(append([]byte(c.Request.URL.Path+"\n"), body...)))
	if a == nil {
		fail(c, http.StatusUnprocessableEntity, "other_act", errOtherAct)
		return
	}
	if !mine {
		select {
		case <-c.Request.Context().Done():
		case <-a.done:
			c.Header("Idempotency-Replayed", "true")
			c.Data(a.status, a.kind, a.body)
		}
		return
	}
	w := &recorder{ResponseWriter: c.Writer}
	c.Writer = w
	a.status = http.StatusInternalServerError // where it panics
	defer func() {
		if a.status >= http.StatusInternalServerError {
			s.answers.drop(id)
		}
		close(a.done)
	}()
	run()
	a.status, a.kind, a.body = w.Status(), w.Header().Get("Content-Type"), w.body.Bytes()
}

// take returns the answer of a key, and whether the caller is to give it; nil where the key is another request's.
func (a *answers) take(id answerKey, request [sha256.Size]byte) (*answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.all[id]; old != nil {
		if old.request != request {
			return nil, false
		}
		return old, false
	}
	if len(a.order) >= maxAnswers {
		delete(a.all, a.order[0])
		a.order = a.order[1:]
	}
	fresh := &answer{request: request, done: make(chan struct{})}
	a.all[id], a.order = fresh, append(a.order, id)
	return fresh, true
}

func (a *answers) drop(id answerKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
	for i, k := range a.order {
		if k == id {
			a.order = append(a.order[:i:i], a.order[i+1:]...)
			return
		}
	}
}

// recorder keeps what is answered.
type recorder struct {
	gin.ResponseWriter
	body bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}
