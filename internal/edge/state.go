package edge

import (
	"time"

	"github.com/weirhq/weir/nginx"
)

// State is what an ingress serves and how it is.
type State struct {
	Site    nginx.Site // that nginx has been seen to serve
	Reloads uint64     // since the ingress process started
	Stale   bool       // no fresh data from Consul: canaries get nothing
	Fresh   time.Time  // when Consul's data were last proved fresh
}

// Serve notes what nginx has been seen to serve, and whether it was reloaded for it.
func (c *Counts) Serve(s nginx.Served, reloaded bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Site = s.Site
	if reloaded {
		c.state.Reloads++
	}
	serving := newTable(s.Site)
	c.tables.put(s.Generation, serving)
	c.forget(serving, time.Now())
}

// Freshness notes how old the data from Consul are.
func (c *Counts) Freshness(at time.Time, stale bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Fresh, c.state.Stale = at, stale
}

// forget drops releases that are not served and had no request for a while: there is a new one with every rollout.
func (c *Counts) forget(serving table, now time.Time) {
	served := map[series]bool{}
	for name, m := range serving {
		for _, release := range m.instances {
			served[series{name, release}] = true
		}
	}
	for s, t := range c.series {
		if !served[s] && now.Sub(t.used) > forget {
			delete(c.series, s)
		}
	}
}
