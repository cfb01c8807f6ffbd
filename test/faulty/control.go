package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// controlPath is where a running server is told to show another fault: POST /fault?kind=errors&share=0.2. The answer,
// 204, comes when it shows. What is not named is as after a start without flags; a crash is at once, without an answer.
const controlPath = "/fault"

func (f *fault) control(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	now, err := read(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if now.kind == "crash" {
		f.crash()
	}
	f.mu.Lock()
	f.now = now
	f.mu.Unlock()
	f.log.Warn("another fault", "kind", now.kind, "share", now.share, "delay", now.delay)
	w.WriteHeader(http.StatusNoContent)
}

// read takes the settings from a query, under the names of their flags without "fault-".
func read(query url.Values) (show, error) {
	var f fault
	for _, s := range f.settings() {
		value := s.Default
		if name := strings.TrimPrefix(s.Flag, "fault-"); query.Has(name) {
			value = query.Get(name)
		}
		if err := s.Set(value); err != nil {
			return f.now, fmt.Errorf("%s=%q: %w", s.Flag, value, err)
		}
	}
	return f.now, nil
}
