package scale

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// startIngress plays an ingress that serves whatever Consul says a moment later.
func startIngress(t *testing.T, consul *api.Client) {
	t.Helper()
	session, _, err := consul.Session().CreateNoChecks(&api.SessionEntry{Name: "ingress", Behavior: api.SessionBehaviorDelete}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		var index uint64
		for ctx.Err() == nil {
			next, err := mirror(ctx, consul, session, index)
			if err != nil && ctx.Err() == nil {
				t.Errorf("the ingress: %v", err)
				return
			}
			index = next
			select {
			case <-ctx.Done():
			case <-time.After(250 * time.Millisecond): // as long as nginx takes
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// mirror waits for a change of the traffic and publishes it as served.
func mirror(ctx context.Context, consul *api.Client, session string, index uint64) (uint64, error) {
	pairs, meta, err := consul.KV().List(traffic.TrafficPrefix, (&api.QueryOptions{WaitIndex: index}).WithContext(ctx))
	if err != nil {
		return 0, err
	}
	stable, canary := map[string]uint64{}, map[string]*traffic.Canary{}
	for _, p := range pairs {
		model, which, _ := strings.Cut(strings.TrimPrefix(p.Key, traffic.TrafficPrefix), "/")
		if which == "canary" {
			canary[model] = new(traffic.Canary)
			err = json.Unmarshal(p.Value, canary[model])
		} else {
			var s traffic.Stable
			err = json.Unmarshal(p.Value, &s)
			stable[model] = s.Epoch
		}
		if err != nil {
			return 0, err
		}
	}
	doc := traffic.Ingress{Epoch: map[string]string{}, RenderedAt: time.Now()}
	for model, epoch := range stable {
		doc.Epoch[model] = traffic.ServedEpoch(epoch, canary[model])
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return 0, err
	}
	_, _, err = consul.KV().Acquire(&api.KVPair{Key: traffic.IngressKey("edge"), Value: text, Session: session}, (&api.WriteOptions{}).WithContext(ctx))
	return meta.LastIndex, err
}
