package applier

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/nginx"
)

// site says what nginx is to serve. It is pure. With stale set no canary gets anything.
func site(k known, instances []instance, defaultModel string, stale bool) nginx.Site {
	passing := byModel(instances)
	models := maps.Clone(k.Models)
	if models == nil {
		models = map[string]knownModel{}
	}
	if _, ok := models[defaultModel]; !ok && defaultModel != "" {
		models[defaultModel] = knownModel{}
	}
	taken := map[netip.AddrPort]string{}
	for _, in := range instances {
		taken[in.Addr] = in.Model + " " + in.Release
	}
	out := nginx.Site{Default: defaultModel, Stale: stale}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		if out.Default == "" {
			out.Default = name
		}
		v := routes{name: name, known: models[name], passing: passing[name], taken: taken}
		if stale {
			v.known.Canary = nil
		}
		out.Models = append(out.Models, v.model())
	}
	return out
}

// routes finds the way of one model's requests.
type routes struct {
	name    string
	known   knownModel
	passing []instance
	taken   map[netip.AddrPort]string // who passes at an address now
}

func (v routes) model() nginx.Model {
	m := nginx.Model{Name: v.name, Releases: v.releases()}
	if v.known.Stable == nil {
		m.Epoch = traffic.ServedEpoch(0, nil)
		m.Shares, m.Nothing = v.pool()
		return m
	}
	m.Epoch = traffic.ServedEpoch(v.known.Stable.Epoch, v.known.Canary)
	m.Shares, m.Shadow = v.shares(), v.shadow()
	return m
}

// shadow says who gets copies of the requests: the passing instances of a canary that gets no share of them. No client
// misses copies, so instances that passed last get none.
func (v routes) shadow() *nginx.Shadow {
	c := v.known.Canary
	if c == nil || c.Shadow == 0 || c.Weight > 0 || c.Release == v.known.Stable.Release {
		return nil
	}
	now, _ := v.instances(c.Release)
	if len(now) == 0 {
		return nil
	}
	return &nginx.Shadow{Release: nginx.Release{ID: c.Release, Instances: now}, Percent: c.Shadow}
}

// pool serves a model without a record from its passing instances that are no canaries, else the last known ones.
func (v routes) pool() ([]nginx.Share, nginx.Nothing) {
	pool := pick(v.passing, func(in instance) bool { return !in.Canary })
	if len(pool) == 0 {
		pool = v.unclaimed(v.known.Pool, "")
	}
	if len(pool) == 0 {
		return nil, nginx.NoInstance
	}
	return []nginx.Share{{Percent: 100, Primary: pool}}, ""
}

// shares splits the requests between stable and canary.
//
// A canary none of whose instances pass gets nothing while stable passes: its share goes to stable. If neither passes,
// as after an election, both keep the instances that passed last.
func (v routes) shares() []nginx.Share {
	stable := v.known.Stable.Release
	stableNow, stableLast := v.instances(stable)
	weight, canary := 0, ""
	var canaryNow, canaryLast []nginx.Instance
	if c := v.known.Canary; c != nil && c.Weight > 0 && c.Release != stable {
		weight, canary = c.Weight, c.Release
		canaryNow, canaryLast = v.instances(canary)
	}
	stableShare := share(stable, 100-weight, or(stableNow, stableLast), nil)
	if len(stableNow) == 0 {
		stableShare = share(stable, 100-weight, stableLast, canaryNow)
	}
	primary := canaryNow
	if len(stableNow) == 0 {
		primary = or(canaryNow, canaryLast)
	}
	canaryShare := share(canary, weight, primary, or(stableNow, stableLast))
	if weight > 0 && len(primary) == 0 {
		stableShare.Percent, canaryShare.Percent = 100, 0
	}
	var out []nginx.Share
	for _, s := range []nginx.Share{canaryShare, stableShare} {
		if s.Percent > 0 {
			out = append(out, s)
		}
	}
	return out
}

// share makes the share of a release. Without primaries its backups serve: nginx wants at least one primary.
func share(release string, percent int, primary, backup []nginx.Instance) nginx.Share {
	if len(primary) == 0 {
		primary, backup = backup, nil
	}
	s := nginx.Share{Release: release, Percent: percent, Primary: primary, Backup: without(backup, primary)}
	if release == traffic.NoRelease {
		return nginx.Share{Percent: percent, Nothing: nginx.NoRelease}
	}
	if len(primary) == 0 {
		s.Nothing = nginx.NoInstance
	}
	return s
}

// instances returns the passing instances of a release, and those that passed last.
func (v routes) instances(release string) (now, last []nginx.Instance) {
	if release == traffic.NoRelease {
		return nil, nil
	}
	now = pick(v.passing, func(in instance) bool { return in.Release == release })
	return now, v.unclaimed(v.known.Last[release], release)
}

// unclaimed leaves out last known instances at whose address another release passes now: the port has a new owner.
func (v routes) unclaimed(last []nginx.Instance, release string) []nginx.Instance {
	var out []nginx.Instance
	for _, in := range last {
		if owner, taken := v.taken[in.Addr]; !taken || owner == v.name+" "+release {
			out = append(out, in)
		}
	}
	return out
}

// releases lists what a forced request may reach: every release with passing instances, recorded or not, and recorded
// ones by their last known instances.
func (v routes) releases() []nginx.Release {
	ids := map[string]bool{}
	for _, in := range v.passing {
		ids[in.Release] = true
	}
	for _, id := range v.known.recorded() {
		ids[id] = true
	}
	var out []nginx.Release
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if now, last := v.instances(id); len(or(now, last)) > 0 {
			out = append(out, nginx.Release{ID: id, Instances: or(now, last)})
		}
	}
	return out
}

func or(first, second []nginx.Instance) []nginx.Instance {
	if len(first) > 0 {
		return first
	}
	return second
}

// without returns the instances whose address is not among others: nginx takes an address once per upstream as a rule.
func without(instances, others []nginx.Instance) []nginx.Instance {
	var out []nginx.Instance
	for _, in := range instances {
		if !slices.ContainsFunc(others, func(o nginx.Instance) bool { return o.Addr == in.Addr }) {
			out = append(out, in)
		}
	}
	return out
}
