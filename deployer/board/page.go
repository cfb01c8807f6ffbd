package board

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// Page is all there is to see of a model, but for its requests.
type Page struct {
	Model     string    `json:"model"`
	Stable    string    `json:"stable"`
	Canary    string    `json:"canary,omitempty"`
	Weight    int       `json:"weight"` // percent of the requests that the canary is to get
	Shadow    int       `json:"shadow,omitempty"`
	Epoch     string    `json:"epoch"` // that the ingresses are to show
	Ingresses []Ingress `json:"ingresses"`
	Releases  []Release `json:"releases"` // stable first, then the canary, then what else runs
	Guardian  string    `json:"guardian,omitempty"`
	Rollout   *Rollout  `json:"rollout,omitempty"` // the newest, under way or over
	History   []Past    `json:"history"`           // all rollouts, newest first
}

// Ingress is what one ingress serves of a model.
type Ingress struct {
	Node     string    `json:"node"`
	Epoch    string    `json:"epoch"`
	Weight   *int      `json:"weight"` // percent that goes to the canary; null while it is on the way to another epoch
	Stale    bool      `json:"stale"`  // it has no fresh data of Consul: canaries get nothing
	Rendered time.Time `json:"rendered"`
}

// The roles of a release on a page.
const (
	roleStable = "stable"
	roleCanary = "canary"
	roleOther  = "other"
)

// Release is one release of a model with its instances.
type Release struct {
	Release   string     `json:"release"`
	Role      string     `json:"role"` // stable, canary or other
	Version   string     `json:"version,omitempty"`
	Digest    string     `json:"digest,omitempty"`
	Color     string     `json:"color,omitempty"`
	Weight    int        `json:"weight"` // percent of the requests that it is to get
	Instances []Instance `json:"instances"`
}

// Instance is one instance of a release.
type Instance struct {
	Addr   string         `json:"addr"`
	Alloc  string         `json:"alloc,omitempty"`
	Status string         `json:"status"`
	Checks []consul.Check `json:"checks"`
}

// Past is a rollout in the history.
type Past struct {
	ID       string           `json:"id"`
	Release  string           `json:"release"`
	From     string           `json:"from"` // the stable release at its beginning
	Phase    rollout.Phase    `json:"phase"`
	Strategy rollout.Strategy `json:"strategy"`
	By       string           `json:"by"`
	Created  time.Time        `json:"created"`
	Reason   string           `json:"reason,omitempty"`
}

// ErrNoModel says that nothing is known of a model.
var ErrNoModel = errors.New("there is no such model: it has no record and no instance")

// Page reads the page of a model.
func (b *Board) Page(ctx context.Context, model string) (Page, error) {
	return b.read(ctx, model, map[string]consul.Stored{})
}

// read reads the page of a model of which some rollouts are known.
func (b *Board) read(ctx context.Context, model string, known map[string]consul.Stored) (Page, error) {
	p := Page{Model: model, Releases: []Release{}, Ingresses: []Ingress{}, History: []Past{}}
	keys, err := b.consul.Traffic(ctx, model)
	if err != nil {
		return p, err
	}
	records, err := b.consul.Past(ctx, model, known)
	if err != nil {
		return p, err
	}
	instances, err := b.consul.Checked(ctx, model)
	if err != nil {
		return p, err
	}
	ingresses, err := b.consul.Ingresses(ctx)
	if err != nil {
		return p, err
	}
	if keys.Stable == nil && keys.Canary == nil && len(records) == 0 && len(instances) == 0 {
		return p, ErrNoModel
	}
	p.traffic(keys)
	p.records(records)
	p.instances(instances)
	p.ingresses(ingresses, keys)
	if p.Rollout != nil && p.Rollout.Active {
		p.Guardian = b.consul.Holder(ctx, model)
	}
	return p, nil
}

func (p *Page) traffic(keys consul.Keys) {
	var epoch uint64
	if keys.Stable != nil {
		p.Stable, epoch = keys.Stable.Release, keys.Stable.Epoch
	}
	if keys.Canary != nil {
		p.Canary, p.Weight, p.Shadow = keys.Canary.Release, keys.Canary.Weight, keys.Canary.Shadow
	}
	p.Epoch = traffic.ServedEpoch(epoch, keys.Canary)
}

func (p *Page) records(records []consul.Stored) {
	for i, r := range records {
		if i == 0 {
			p.Rollout = view(r)
		}
		p.History = append(p.History, Past{
			ID: r.ID, Release: r.Release, From: r.Stable, Phase: r.Phase, Strategy: r.Spec.Strategy, By: r.By,
			Created: r.Created, Reason: r.Reason,
		})
	}
	if p.Canary == "" && p.Rollout != nil && p.Rollout.Active && p.Rollout.Release != p.Stable {
		p.Canary = p.Rollout.Release
	}
}

func (p *Page) instances(instances []consul.Checked) {
	by := map[string]*Release{}
	for _, name := range []string{p.Stable, p.Canary} {
		if name != "" && name != traffic.NoRelease {
			by[name] = &Release{Release: name, Instances: []Instance{}}
		}
	}
	for _, in := range instances {
		r := by[in.Release]
		if r == nil {
			r = &Release{Release: in.Release}
			by[in.Release] = r
		}
		r.Version, r.Digest, r.Color = in.Version, in.Digest, in.Color
		r.Instances = append(r.Instances, Instance{Addr: in.Addr, Alloc: in.Alloc, Status: in.Status, Checks: in.Checks})
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		r := by[name]
		r.Role, r.Weight = p.part(name)
		slices.SortFunc(r.Instances, func(a, b Instance) int { return strings.Compare(a.Addr, b.Addr) })
		p.Releases = append(p.Releases, *r)
	}
	order := []string{roleStable, roleCanary, roleOther}
	slices.SortStableFunc(p.Releases, func(a, b Release) int {
		return cmp.Compare(slices.Index(order, a.Role), slices.Index(order, b.Role))
	})
}

// part is the role and the intended share of a release.
func (p *Page) part(release string) (string, int) {
	switch release {
	case p.Stable:
		return roleStable, 100 - p.Weight
	case p.Canary:
		return roleCanary, p.Weight
	}
	return roleOther, 0
}

func (p *Page) ingresses(all map[string]traffic.Ingress, keys consul.Keys) {
	for _, node := range slices.Sorted(maps.Keys(all)) {
		in := all[node]
		shown := Ingress{Node: node, Epoch: in.Epoch[p.Model], Stale: in.Stale, Rendered: in.RenderedAt}
		switch {
		case in.Stale, strings.HasSuffix(shown.Epoch, "/-"):
			shown.Weight = new(0)
		case shown.Epoch == p.Epoch && keys.Canary != nil:
			shown.Weight = new(keys.Canary.Weight)
		}
		p.Ingresses = append(p.Ingresses, shown)
	}
}

// page is a model's page while somebody looks at it.
type page struct {
	lookers int
	dirty   bool
	seq     uint64          // of its last change
	json    json.RawMessage // nil before the first reading
	err     error
	now     Page
	series  series
	known   map[string]consul.Stored // rollouts by id; the loop that reads the pages alone touches it
}

// LookAt says that somebody looks at a model, until the returned function is called.
func (b *Board) LookAt(model string) (leave func()) {
	away := b.Look()
	b.mu.Lock()
	p := b.pages[model]
	if p == nil {
		p = &page{dirty: true, known: map[string]consul.Stored{}}
		b.pages[model] = p
	}
	p.lookers++
	b.tell()
	b.mu.Unlock()
	return func() {
		b.mu.Lock()
		p.lookers--
		b.mu.Unlock()
		away()
		time.AfterFunc(linger, func() { b.forget(model) })
	}
}

// forget drops a page that nobody looks at.
func (b *Board) forget(model string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pages[model]; p != nil && p.lookers == 0 {
		delete(b.pages, model)
	}
}

// dirty says that every page must be read again.
func (b *Board) dirty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pages {
		p.dirty = true
	}
	b.tell()
}

// turning reads the pages that somebody looks at after each change.
func (b *Board) turning(ctx context.Context) {
	for ctx.Err() == nil {
		stale, next := b.stale()
		for model, p := range stale {
			b.turn(ctx, model, p)
		}
		if len(stale) > 0 {
			rest(ctx, pace)
			continue
		}
		select {
		case <-ctx.Done():
		case <-next:
		}
	}
}

// stale takes the pages that must be read.
func (b *Board) stale() (pages map[string]*page, next <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pages = map[string]*page{}
	for model, p := range b.pages {
		if p.dirty {
			p.dirty = false
			pages[model] = p
		}
	}
	return pages, b.changed
}

func (b *Board) turn(ctx context.Context, model string, p *page) {
	read, err := b.read(ctx, model, p.known)
	if ctx.Err() != nil {
		return
	}
	text, _ := json.Marshal(read) // it holds nothing that JSON can't
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil && !errors.Is(err, ErrNoModel):
		b.log.Warn("read a page", "model", model, "err", err)
		p.dirty = true
		return
	case err == nil && bytes.Equal(text, p.json), err != nil && p.err != nil:
		return
	}
	b.seq++
	p.seq, p.json, p.now, p.err = b.seq, text, read, err
	b.tell()
}

// News is what has changed of a model since a state.
type News struct {
	Cursor    string
	Page      json.RawMessage // nil where it is as it was
	Samples   []Sample
	Outputs   *Outputs // with Samples
	Freshness Freshness
	Err       error // ErrNoModel
}

// NewsOf returns what has changed of a model that somebody looks at since the state that a cursor names. The channel is
// closed at the next change.
func (b *Board) NewsOf(model, cursor string) (News, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := News{Cursor: b.cursor(b.seq), Freshness: b.health}
	from, _ := b.position(cursor)
	p := b.pages[model]
	if p == nil {
		return n, b.changed
	}
	n.Err = p.err
	if p.seq > from && p.err == nil {
		n.Page = p.json
	}
	if n.Samples = p.series.since(from); len(n.Samples) > 0 {
		n.Outputs = p.series.outputs
	}
	return n, b.changed
}
