package devnomad

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// heartbeat is how often an idle event stream sends an empty object.
const heartbeat = 30 * time.Second

// streamEvents sends events as NDJSON: an empty object at once, then every event of the buffer above ?index, then new
// ones. A reader that falls behind the buffer is cut off and must subscribe again.
func (a *Agent) streamEvents(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after := uint64(0)
	if text := q.Get("index"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			writeError(w, badRequest("Unable to parse index: "+err.Error()))
			return
		}
		after = max(after, 1) - 1 // the index itself is included
	}
	filter := parseTopics(q["topic"])
	streamHeaders(w)
	out := &eventWriter{w: w, flush: http.NewResponseController(w)}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for out.line(struct{}{}); out.err == nil; {
		var events []event
		var lost bool
		var changed chan struct{}
		a.store.read(func() {
			changed = a.store.changed
			events, lost = a.store.eventsAfter(after)
			after = max(after, a.store.index)
		})
		if lost && out.started {
			return
		}
		out.send(events, filter)
		select {
		case <-changed:
		case <-beat.C:
			out.line(struct{}{})
		case <-r.Context().Done():
			return
		case <-a.stopping:
			return
		}
	}
}

func streamHeaders(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
}

// eventWriter writes lines until one fails.
type eventWriter struct {
	w       http.ResponseWriter
	flush   *http.ResponseController
	started bool // events have been sent
	err     error
}

func (o *eventWriter) line(v any) {
	if o.err != nil {
		return
	}
	body, err := json.Marshal(v)
	if err == nil {
		_, err = o.w.Write(append(body, '\n'))
	}
	if err == nil {
		err = o.flush.Flush()
	}
	o.err = err
}

// send sends the events that pass the filter, one line per index.
func (o *eventWriter) send(events []event, filter topics) {
	for len(events) > 0 {
		index := events[0].Index
		var group []event
		for len(events) > 0 && events[0].Index == index {
			if filter.match(events[0]) {
				group = append(group, events[0])
			}
			events = events[1:]
		}
		if len(group) > 0 {
			o.line(struct {
				Index  uint64
				Events []event
			}{index, group})
			o.started = true
		}
	}
}
