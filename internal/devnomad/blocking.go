package devnomad

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

// httpError is an error with its HTTP status; all others are status 500, as in Nomad.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

func notFound(text string) error   { return &httpError{http.StatusNotFound, text} }
func badRequest(text string) error { return &httpError{http.StatusBadRequest, text} }

// Blocking queries wait this long by default, and at most.
const defaultWait, maxWait = 5 * time.Minute, 10 * time.Minute

// query answers a read: its value, and the index that it is of. With ?index=N it blocks until that index is above N, or
// ?wait has passed; an N above the present index is answered with the lower one then.
type query func(s *store) (value any, index uint64, err error)

func (a *Agent) answerQuery(w http.ResponseWriter, r *http.Request, q query) {
	after, wait, err := blockingOptions(r)
	if err != nil {
		writeError(w, err)
		return
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		var value any
		var index uint64
		var changed chan struct{}
		a.store.read(func() {
			changed = a.store.changed
			value, index, err = q(a.view(r))
			index = max(index, 1)
		})
		if after == 0 || index > after {
			writeQuery(w, r, value, index, err)
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			writeQuery(w, r, value, index, err)
			return
		case <-r.Context().Done():
			return
		case <-a.stopping:
			return
		}
	}
}

// byID makes a query of the one thing in a table that the path names by its UUID; kind is what Nomad calls it. find
// returns its document, nil if it is not there, and its index.
func byID(kind, table string, find func(s *store, id string) (doc any, index uint64)) func(*http.Request) query {
	return func(r *http.Request) query {
		return func(s *store) (any, uint64, error) {
			id := r.PathValue("id")
			if len(id) != 36 {
				return nil, 0, errors.New(kind + " lookup failed: index error: UUID must be 36 characters")
			}
			doc, index := find(s, id)
			if doc == nil {
				return nil, s.tables[table], notFound(kind + " not found")
			}
			return doc, index, nil
		}
	}
}

// view is what a request sees: everything, or nothing in a namespace that does not exist.
func (a *Agent) view(r *http.Request) *store {
	switch r.URL.Query().Get("namespace") {
	case "", "*", api.DefaultNamespace:
		return a.store
	}
	empty := newStore(a.store.now)
	empty.index, empty.tables, empty.nodes = a.store.index, a.store.tables, a.store.nodes
	return empty
}

func blockingOptions(r *http.Request) (after uint64, wait time.Duration, err error) {
	q := r.URL.Query()
	wait = defaultWait
	if text := q.Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil {
			return 0, 0, badRequest("Invalid wait time")
		}
	}
	if text := q.Get("index"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, badRequest("Invalid index")
		}
	}
	return after, min(wait, maxWait), nil
}

func writeQuery(w http.ResponseWriter, r *http.Request, value any, index uint64, err error) {
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
	w.Header().Set("X-Nomad-Knownleader", "true")
	w.Header().Set("X-Nomad-Lastcontact", "0")
	if err != nil {
		writeError(w, err)
		return
	}
	if p, ok := value.(paged); ok {
		w.Header().Set("X-Nomad-Nexttoken", p.next)
		value = p.items
	}
	writeJSON(w, r, value)
}

func writeJSON(w http.ResponseWriter, r *http.Request, value any) {
	body, err := json.Marshal(value)
	if r.URL.Query().Has("pretty") {
		body, err = json.MarshalIndent(value, "", "    ")
	}
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if known, ok := errors.AsType[*httpError](err); ok {
		status = known.status
	}
	if w.Header().Get("Content-Type") == "" { // else the answer has begun already in another form, as in Nomad
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(err.Error()))
}
