package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/weirhq/weir/internal/traffic"
)

// Served is what one ingress serves of a model.
type Served struct {
	Epoch   string // see traffic.ServedEpoch; "" for nothing
	Stale   bool
	Metrics string // see traffic.Ingress
}

// served keeps the documents of the ingresses as they were read last: each has all models in it.
type served struct {
	mu   sync.Mutex
	docs map[string]servedDoc // by key
}

type servedDoc struct {
	index uint64
	traffic.Ingress
}

// ServedOf returns what each live ingress serves of a model. A lost ingress is not in it.
func (c *Client) ServedOf(ctx context.Context, model string) (map[string]Served, error) {
	pairs, _, err := c.api.KV().List(traffic.IngressPrefix, consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("read what the ingresses serve: %w", err)
	}
	c.served.mu.Lock()
	defer c.served.mu.Unlock()
	docs, out := make(map[string]servedDoc, len(pairs)), make(map[string]Served, len(pairs))
	for _, p := range pairs {
		doc, known := c.served.docs[p.Key]
		if !known || doc.index != p.ModifyIndex {
			doc = servedDoc{index: p.ModifyIndex}
			if json.Unmarshal(p.Value, &doc.Ingress) != nil {
				continue // not ours: it says nothing about a live ingress
			}
		}
		docs[p.Key] = doc
		if p.Session != "" { // else it is left over
			out[strings.TrimPrefix(p.Key, traffic.IngressPrefix)] = Served{doc.Epoch[model], doc.Stale, doc.Metrics}
		}
	}
	c.served.docs = docs
	return out, nil
}
