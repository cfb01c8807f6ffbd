package devnomad

import (
	"net/http"
	"strings"
)

// maxMatches is how many matches a search gives of each kind, as in Nomad.
const maxMatches = 20

// search looks IDs up by prefix: what the nomad command line does with shortened IDs.
func (a *Agent) search(r *http.Request) (any, error) {
	var in struct{ Prefix, Context string }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	matches, truncated := map[string][]string{}, map[string]bool{}
	index := uint64(0)
	a.store.read(func() {
		index = a.store.index
		for kind, ids := range a.store.ids() {
			if in.Context != "all" && in.Context != kind {
				continue
			}
			matches[kind], truncated[kind] = nil, false
			for _, id := range ids {
				if !strings.HasPrefix(id, in.Prefix) {
					continue
				}
				if len(matches[kind]) == maxMatches {
					truncated[kind] = true
					break
				}
				matches[kind] = append(matches[kind], id)
			}
		}
	})
	return map[string]any{
		"Matches": matches, "Truncations": truncated, "Index": index, "KnownLeader": true, "LastContact": 0,
	}, nil
}

// ids lists what there is, by kind.
func (s *store) ids() map[string][]string {
	return map[string][]string{
		"jobs": union(s.jobs, nil), "evals": union(s.evals, nil), "allocs": union(s.allocs, nil),
		"deployment": union(s.deployments, nil), "nodes": union(s.nodes, nil),
	}
}
