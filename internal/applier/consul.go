package applier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

const (
	sessionTTL  = 10 * time.Second // the shortest that Consul takes
	callTimeout = 2 * time.Second  // of each call to Consul
)

// beat is the outcome of one proof of freshness.
type beat struct {
	Proof *proof
	Err   error
}

// link is the ingress's own line to Consul: it holds a session, proves that what Consul says is fresh, and publishes
// what nginx serves. One goroutine runs it.
type link struct {
	client  *api.Client
	key     string
	node    string
	every   time.Duration
	idPath  string // where the session's id outlives this process, for the next one to take it up
	log     *slog.Logger
	session string

	publish chan traffic.Ingress // what to publish; the newest counts
	poke    chan struct{}        // asks for a beat now
	beats   chan beat            // the newest outcome
	doc     []byte               // what weir/ingress/<node> should hold; nil before anything is served
}

func newLink(cfg Config) (*link, error) {
	client, err := api.NewClient(&api.Config{Address: cfg.ConsulAddr})
	if err != nil {
		return nil, fmt.Errorf("make a Consul client for %s: %w", cfg.ConsulAddr, err)
	}
	l := &link{
		client: client, key: traffic.IngressKey(cfg.Node), node: cfg.Node, every: cfg.BeatEvery,
		idPath: cfg.path("session"), log: cfg.Logger,
		publish: make(chan traffic.Ingress, 1), poke: make(chan struct{}, 1), beats: make(chan beat, 1),
	}
	id, err := os.ReadFile(l.idPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the ingress's session: %w", err)
	}
	l.session = strings.TrimSpace(string(id))
	return l, nil
}

// Publish hands over what nginx has been seen to serve. It does not block.
func (l *link) Publish(doc traffic.Ingress) {
	select {
	case <-l.publish: // an older one that was not fetched yet
	default:
	}
	l.publish <- doc
}

// Poke asks for a beat without waiting for the next one's time.
func (l *link) Poke() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// run beats and publishes until ctx ends, then gives the session up, which deletes the key.
func (l *link) run(ctx context.Context) {
	defer l.leave(context.WithoutCancel(ctx))
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	l.beat(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case doc := <-l.publish:
			l.put(ctx, doc)
		case <-tick.C:
			l.beat(ctx)
		case <-l.poke:
			l.beat(ctx)
		}
	}
}

// beat renews the session, reads the traffic keys from the leader and restores the published document if it is not
// there. It hands the outcome over.
func (l *link) beat(ctx context.Context) {
	pr, err := l.prove(ctx)
	if err == nil {
		if restoreErr := l.restore(ctx); restoreErr != nil {
			l.log.Warn("what is served is not published", "err", restoreErr)
		}
	}
	select {
	case <-l.beats: // an older one that was not fetched yet
	default:
	}
	l.beats <- beat{pr, err}
}

func (l *link) prove(ctx context.Context) (*proof, error) {
	if err := l.renew(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pr := &proof{Keys: map[string]uint64{}, Began: time.Now()}
	opts := (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
	pairs, meta, err := l.client.KV().List(traffic.TrafficPrefix, opts)
	if err != nil {
		return nil, fmt.Errorf("read the traffic keys: %w", err)
	}
	pr.Index = meta.LastIndex
	for _, p := range pairs {
		if !strings.HasSuffix(p.Key, "/") {
			pr.Keys[p.Key] = p.ModifyIndex
		}
	}
	return pr, nil
}

// renew keeps the session alive or opens a new one. The session of an earlier process of this ingress is taken up.
func (l *link) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	opts := (&api.WriteOptions{}).WithContext(ctx)
	if l.session != "" {
		entry, _, err := l.client.Session().Renew(l.session, opts)
		if err != nil {
			return fmt.Errorf("renew the ingress's session: %w", err)
		}
		if entry != nil {
			return nil
		}
	}
	id, _, err := l.client.Session().CreateNoChecks(&api.SessionEntry{
		Name: "weir ingress " + l.node, TTL: sessionTTL.String(), Behavior: api.SessionBehaviorDelete,
		LockDelay: time.Millisecond,
	}, opts)
	if err != nil {
		return fmt.Errorf("open a session for the ingress: %w", err)
	}
	l.session = id
	return replaceFile(l.idPath, []byte(id+"\n"))
}

// put publishes the document. If Consul does not take it now, the next beat tries again.
func (l *link) put(ctx context.Context, doc traffic.Ingress) {
	text, err := json.Marshal(doc)
	if err != nil {
		l.log.Error("what is served can't be published", "err", err)
		return
	}
	l.doc = text
	if l.session == "" {
		return // there is no line yet
	}
	if err := l.acquire(ctx); err != nil {
		l.log.Warn("what is served is not published yet", "err", err)
	}
}

// acquire writes the document under our session.
func (l *link) acquire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ours, _, err := l.client.KV().Acquire(&api.KVPair{Key: l.key, Value: l.doc, Session: l.session},
		(&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("write %s: %w", l.key, err)
	}
	if !ours {
		return fmt.Errorf("write %s: another session holds it; does a second ingress run with the name %q?", l.key, l.node)
	}
	return nil
}

// restore writes the document again if Consul does not hold it as ours: after a lost session, or a delete by hand.
func (l *link) restore(ctx context.Context) error {
	if l.doc == nil {
		return nil
	}
	readCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pair, _, err := l.client.KV().Get(l.key, (&api.QueryOptions{}).WithContext(readCtx))
	if err != nil {
		return fmt.Errorf("read %s: %w", l.key, err)
	}
	if pair != nil && pair.Session == l.session && bytes.Equal(pair.Value, l.doc) {
		return nil
	}
	return l.acquire(ctx)
}

// leave gives the session up: its key goes with it, and nobody waits for this ingress any more.
func (l *link) leave(ctx context.Context) {
	if l.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := l.client.Session().Destroy(l.session, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		l.log.Warn("session is left to expire", "err", err)
		return
	}
	if err := os.Remove(l.idPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("session file stays", "err", err)
	}
}
