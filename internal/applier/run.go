// Package applier is the ingress: it turns what consul-template stages from Consul into nginx's configuration, keeps the
// last known good when Consul or its data fail, and publishes what nginx really serves.
//
//	Consul ──▶ consul-template ──▶ staged/*.json ──▶ merge ──▶ site ──▶ nginx: check, drain, reload, confirm
//	  ▲                                               ▲                                      │     └──▶ log ──▶ counts
//	  └──── session, proof of freshness ──── link ────┘◀───── weir/ingress/<node> ───────────┘
//
// merge and site are pure; the rest moves bytes.
package applier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/nginx"
)

// Run runs an ingress until ctx ends, then lets nginx finish its requests and withdraws from Consul. It needs neither
// Consul nor a record to start: nginx then serves the last known good, or says that no release serves yet.
//
// If Run returns an error, or its process dies, nginx goes on with what it serves and the next Run adopts it.
func Run(ctx context.Context, cfg Config) (err error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.path("staged"), 0o755); err != nil {
		return fmt.Errorf("make the ingress's state folder: %w", err)
	}
	held, err := lock(cfg.path("lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	server, err := nginx.Open(ctx, cfg.nginxSettings(), cfg.Logger)
	if err != nil {
		return err
	}
	line, err := newLink(cfg)
	if err != nil {
		return err
	}
	count, err := newCounting(ctx, cfg, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, count.close()) }()
	return newIngress(cfg, server, line, count).run(ctx)
}

// ingress is the loop in the middle.
type ingress struct {
	cfg      Config
	server   *nginx.Server
	line     *link
	reloader *reloader
	stager   *stager
	count    *counting

	known    known
	staged   staged
	proof    *proof
	fresh    *fresh
	stale    bool
	problems map[problem]bool // told already
	badBeats int              // beats in a row that did not match what is staged
	lost     bool             // the last beat failed
}

func newIngress(cfg Config, server *nginx.Server, line *link, count *counting) *ingress {
	g := &ingress{
		cfg: cfg, server: server, line: line, stager: newStager(cfg), count: count,
		known: loadKnown(cfg.path("known.json"), cfg.Logger), fresh: loadFresh(cfg.path("fresh")),
	}
	g.reloader = &reloader{
		server: server, external: cfg.ExternalNginx, debounce: cfg.Debounce, gap: cfg.ReloadGap, log: cfg.Logger,
		served: g.publish, wake: make(chan struct{}, 1),
	}
	return g
}

// run starts the workers, and stops them in the order that keeps promises: nginx finishes its requests while the key in
// Consul still says so.
func (g *ingress) run(ctx context.Context) error {
	lineCtx, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	var line sync.WaitGroup
	defer line.Wait()
	defer hangUp()

	g.readStaged()
	g.update()
	line.Go(func() { g.line.run(lineCtx) })

	changed := make(chan struct{}, 1)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return watch(groupCtx, g.cfg.path("staged"), changed) })
	group.Go(func() error { return g.stager.run(groupCtx) })
	group.Go(func() error { g.reloader.run(groupCtx); return nil })
	group.Go(func() error { return g.count.run(groupCtx) })
	group.Go(func() error { g.loop(groupCtx, changed); return nil })
	err := group.Wait()
	if ctx.Err() == nil || g.cfg.ExternalNginx {
		return err
	}
	return errors.Join(err, g.server.Quit(context.WithoutCancel(ctx), g.cfg.QuitTimeout))
}

func (g *ingress) loop(ctx context.Context, changed <-chan struct{}) {
	for {
		stale := time.NewTimer(time.Until(g.fresh.at.Add(g.cfg.StaleAfter)))
		if g.stale {
			stale.Stop()
		}
		select {
		case <-ctx.Done():
			stale.Stop()
			return
		case <-changed:
			g.readStaged()
			if g.stale || g.badBeats > 0 {
				g.line.Poke() // this may be what was missing
			}
		case b := <-g.line.beats:
			g.beat(b)
		case <-stale.C:
		}
		stale.Stop()
		g.update()
	}
}

// readStaged takes over what consul-template has written; what can't be read leaves things as they are.
func (g *ingress) readStaged() {
	in, err := readStaged(g.cfg.path("staged"))
	if err != nil {
		g.cfg.Logger.Error("staged files are not applied", "err", err)
		return
	}
	g.staged = in
}

// badBeatsLimit is how many beats in a row may differ from what is staged before consul-template is started anew.
const badBeatsLimit = 3

// beat takes over a proof of freshness. Consul's data are fresh if the leader has answered and what is staged is what it
// says.
func (g *ingress) beat(b beat) {
	if lost := b.Err != nil; lost != g.lost {
		g.lost = lost
		if lost {
			g.cfg.Logger.Warn("Consul does not answer", "err", b.Err, "stale_after", g.cfg.StaleAfter)
		} else {
			g.cfg.Logger.Info("Consul answers again")
		}
	}
	if b.Err != nil {
		return
	}
	g.proof = b.Proof
	g.readStaged()
	if g.staged.matches(b.Proof) {
		g.badBeats = 0
		if err := g.fresh.touch(time.Now()); err != nil {
			g.cfg.Logger.Warn("time of the last beat is not kept", "err", err)
		}
		return
	}
	if g.badBeats++; g.badBeats >= badBeatsLimit {
		g.badBeats = 0
		g.cfg.Logger.Warn("consul-template does not follow Consul, starting it anew")
		g.stager.restart()
	}
}

// matches reports whether what is staged is what the proof shows.
func (s staged) matches(p *proof) bool {
	if s.Keys == nil || len(s.Keys) != len(p.Keys) {
		return false
	}
	for name, k := range s.Keys {
		if index, there := p.Keys[name]; !there || index != k.ModifyIndex {
			return false
		}
	}
	return true
}

// update merges, remembers and hands the site over.
func (g *ingress) update() {
	now := time.Now()
	m := merge(g.known, g.staged, g.proof, g.cfg.ForgetAfter, now)
	g.tell(m.Problems)
	if m.WantProof && (g.proof == nil || !g.proof.Began.After(g.staged.KeysAt)) {
		g.line.Poke()
	}
	if !m.Known.equal(g.known) {
		if err := m.Known.save(g.cfg.path("known.json")); err != nil {
			g.cfg.Logger.Error("last known good is not kept", "err", err)
		}
	}
	g.known = m.Known
	if stale := now.Sub(g.fresh.at) >= g.cfg.StaleAfter; stale != g.stale {
		g.stale = stale
		log := g.cfg.Logger.Warn
		if !stale || g.fresh.at.IsZero() {
			log = g.cfg.Logger.Info // a first start has seen nothing yet
		}
		log("freshness of Consul's data", "stale", stale, "last_fresh", g.fresh.at)
	}
	g.count.counts.Freshness(g.fresh.at, g.stale)
	g.reloader.Want(site(g.known, g.staged.Instances, g.cfg.DefaultModel, g.stale))
}

// tell logs problems that were not there before.
func (g *ingress) tell(problems []problem) {
	now := map[problem]bool{}
	for _, p := range problems {
		now[p] = true
		if !g.problems[p] {
			g.cfg.Logger.Error("traffic of a model is not as Consul says", "model", p.Model, "problem", p.Text)
		}
	}
	g.problems = now
}

// publish is told of what nginx has been seen to serve.
func (g *ingress) publish(s nginx.Served, reloaded bool) {
	g.count.counts.Serve(s, reloaded)
	for _, m := range s.Site.Models {
		g.cfg.Logger.Info("serves", "model", m.Name, "epoch", m.Epoch, "shares", shareText(m), "generation", s.Generation)
	}
	doc := traffic.Ingress{Epoch: nginx.Epochs(s.Site), RenderedAt: s.At.UTC(), Stale: s.Site.Stale, Metrics: g.count.addr}
	g.line.Publish(doc)
	if g.cfg.OnServed != nil {
		g.cfg.OnServed(doc)
	}
}

func shareText(m nginx.Model) string {
	if len(m.Shares) == 0 {
		return string(m.Nothing)
	}
	shares := make([]string, len(m.Shares))
	for i, s := range m.Shares {
		shares[i] = fmt.Sprintf("%s%s=%d%%×%d", s.Release, s.Nothing, s.Percent, len(s.Primary))
	}
	if s := m.Shadow; s != nil {
		shares = append(shares, fmt.Sprintf("copies to %s=%d%%×%d", s.ID, s.Percent, len(s.Instances)))
	}
	return strings.Join(shares, " ")
}
