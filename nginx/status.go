package nginx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// StatusPath is where nginx says what it serves, to loopback only.
const StatusPath = "/weir/status"

// Status is what a worker of nginx serves, by its own word.
type Status struct {
	Epoch      map[string]string `json:"epoch"` // model → served epoch
	Generation string            `json:"generation"`
	Stale      bool              `json:"stale"`
	PID        int               `json:"pid"` // the worker that answered
}

// newStatus is the part of the status that is known when the configuration is written; the worker adds its number.
func newStatus(site Site, generation string) any {
	return struct {
		Epoch      map[string]string `json:"epoch"`
		Generation string            `json:"generation"`
		Stale      bool              `json:"stale"`
	}{Epochs(site), generation, site.Stale}
}

// Epochs returns the served epoch of each model.
func Epochs(site Site) map[string]string {
	epochs := make(map[string]string, len(site.Models))
	for _, m := range site.Models {
		epochs[m.Name] = m.Epoch
	}
	return epochs
}

// Status asks nginx what it serves, on a connection of its own, so that any worker may answer.
func (s *Server) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.status+StatusPath, nil)
	if err != nil {
		return Status{}, fmt.Errorf("ask nginx for its status: %w", err)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return Status{}, fmt.Errorf("ask nginx for its status: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Status{}, fmt.Errorf("ask nginx at %s for its status: it answers %s; does another program listen there?",
			s.status, resp.Status)
	}
	var st Status
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<22)).Decode(&st); err != nil {
		return Status{}, fmt.Errorf("read nginx's status: %w", err)
	}
	return st, nil
}
