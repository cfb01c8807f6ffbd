// Package nginx writes the configuration of the ingress's nginx, checks it, and runs and reloads nginx without losing a
// request.
package nginx

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/weirhq/weir/internal/traffic"
)

//go:embed nginx.conf.tmpl
var confText string

var confTemplate = template.Must(template.New("nginx.conf").Funcs(template.FuncMap{"ms": milliseconds}).Parse(confText))

// The most instances that a request is tried on: enough to leave a dying release for its backup, bounded so that a
// request that kills its instance does not kill them all.
const (
	minTries    = 3
	maxTries    = 8
	backupTries = 2 // behind every primary: one backup may be on the lost node that a primary was on
)

// A copy must cost the requests nothing, whatever the canary does: it waits at most shadowTimeout for each of connection,
// sending and answer, and of more than shadowConns at once per instance the others are dropped. Until a copy has ended,
// it holds connections of nginx.
const (
	shadowTimeout = time.Second
	shadowConns   = 64
)

// view is what the template sees.
type view struct {
	Settings
	Generation    string
	KeepaliveMin  bool
	HashSize      int
	Own           string
	Listen        []string
	Default       string
	Unknown       string
	Models        []modelView
	Forced        []forcedView
	Shadows       []shadowView
	Upstreams     []upstreamView
	Attempts      []attemptsView
	Answers       []answer
	Tries         int
	ForceHeader   string
	ForceVariable string
	ShadowHeader  string
	Status        string
	StatusParts   []string
}

type modelView struct {
	Name, Ident string
	Nothing     Nothing
	Split       []splitView
}

// Drawn says whether a request's release is drawn: there is more than one.
func (m modelView) Drawn() bool { return len(m.Split) > 1 }

// Share is where a model's requests go, as nginx writes it.
func (m modelView) Share() string {
	switch len(m.Split) {
	case 0:
		return string(m.Nothing)
	case 1:
		return m.Split[0].Upstream
	}
	return "$weir_share_" + m.Ident
}

type splitView struct{ Share, Upstream string }

// shadowView is a model whose requests are copied.
type shadowView struct {
	Model, Ident, Upstream string
	Percent                int
}

type forcedView struct{ Model, Release, Upstream string }

type upstreamView struct {
	Name, Release, Comment string
	Zone                   int // KiB of the memory that the workers share, said once; 0: said already
	Primary, Backup        []Instance
	MaxConns               int // to each instance, which are not kept then; 0: any number, and they are kept
}

type attemptsView struct{ Commas, Count int }

// answer is what requests get that can't be sent to any instance.
type answer struct {
	Upstream string // the value of $weir_upstream
	Status   int
	Text     string
}

var answers = []answer{
	{"weir_unknown_model", 404, "unknown model: nothing is recorded under this name and no instance of it passes"},
	{"weir_unknown_release", 404, "no instance of the release that " + traffic.HeaderForce + " asks for passes its checks"},
	{"weir_no_model", 503, "no release serves yet: no model is known"},
	{string(NoRelease), 503, "no release serves yet"},
	{string(NoInstance), 503, "no release serves yet: no instance passes its checks"},
}

// render returns the configuration. generation names it; keepaliveMin says that this nginx knows keepalive_min_timeout.
func render(set Settings, site Site, generation string, keepaliveMin bool) ([]byte, error) {
	if err := site.Check(); err != nil {
		return nil, fmt.Errorf("render nginx's configuration: %w", err)
	}
	v, err := newView(set, site, generation, keepaliveMin)
	if err != nil {
		return nil, fmt.Errorf("render nginx's configuration: %w", err)
	}
	var out bytes.Buffer
	if err := confTemplate.Execute(&out, v); err != nil {
		return nil, fmt.Errorf("render nginx's configuration: %w", err)
	}
	return out.Bytes(), nil
}

func newView(set Settings, site Site, generation string, keepaliveMin bool) (*view, error) {
	if set.AccessLog == "" {
		set.AccessLog = set.Dir + "/logs/access.log"
	}
	status, err := json.Marshal(newStatus(site, generation))
	if err != nil {
		return nil, err
	}
	v := &view{
		Settings: set, Generation: generation, KeepaliveMin: keepaliveMin, Default: site.Default,
		Unknown: "weir_unknown_model", Answers: answers, Tries: minTries,
		ForceHeader:   traffic.HeaderForce,
		ForceVariable: strings.ToLower(strings.ReplaceAll(traffic.HeaderForce, "-", "_")),
		ShadowHeader:  traffic.HeaderShadow,
	}
	if len(site.Models) == 0 {
		v.Unknown = "weir_no_model"
	}
	if err := v.listen(); err != nil {
		return nil, err
	}
	for commas := 1; commas < maxTries; commas++ {
		v.Attempts = append(v.Attempts, attemptsView{commas, commas + 1})
	}
	for _, m := range site.Models {
		v.addModel(m)
	}
	v.setStatus(status)
	v.shareZone()
	v.HashSize = 2048 + 8*len(v.Upstreams)
	return v, nil
}

// shareZone gives all upstreams one zone: nginx looks for each one's zone through all of them, also with each reload.
func (v *view) shareZone() {
	size := 64
	for _, u := range v.Upstreams {
		size += 2 + len(u.Primary) + len(u.Backup)
	}
	if len(v.Upstreams) > 0 {
		v.Upstreams[0].Zone = size
	}
}

// maxParameter is how long a text in nginx's configuration may be: nginx reads 4096 bytes at most.
const maxParameter = 3000

// setStatus takes the status apart where one text can't hold it, and leaves room for the worker's number.
func (v *view) setStatus(status []byte) {
	body := strings.TrimSuffix(string(status), "}")
	if len(body) > maxParameter {
		var joined strings.Builder
		for part := range slices.Chunk([]byte(body), maxParameter) {
			fmt.Fprintf(&joined, "${weir_status_%d}", len(v.StatusParts))
			v.StatusParts = append(v.StatusParts, string(part))
		}
		body = joined.String()
	}
	v.Status = body + `,"pid":$pid}`
}

// Workers is the value of worker_processes.
func (v *view) Workers() string {
	if v.Settings.Workers == 0 {
		return "auto"
	}
	return strconv.Itoa(v.Settings.Workers)
}

func (v *view) listen() error {
	addr, port, err := v.address()
	if err != nil {
		return err
	}
	v.Listen = []string{netip.AddrPortFrom(addr, uint16(port)).String()} //nolint:gosec // 16 bits, see address
	if !addr.IsUnspecified() && !addr.IsLoopback() {
		v.Own = netip.PrefixFrom(addr, addr.BitLen()).String()
	}
	return nil
}

// addModel adds the upstreams of a model and how requests reach them.
func (v *view) addModel(m Model) {
	mv := modelView{Name: m.Name, Ident: strings.ReplaceAll(m.Name, "-", "_"), Nothing: m.Nothing}
	for i, s := range m.Shares {
		share := strconv.Itoa(s.Percent) + "%"
		if i == len(m.Shares)-1 {
			share = "*" // the rest, so that no request is left over
		}
		target := string(s.Nothing)
		if len(s.Primary) > 0 {
			target = v.addUpstream("share", m.Name, s.Release, s.Primary, s.Backup)
		}
		mv.Split = append(mv.Split, splitView{share, target})
	}
	v.Models = append(v.Models, mv)
	v.addShadow(m, mv.Ident)
	seen := map[string]bool{}
	for _, r := range m.Releases {
		key := strings.ToLower(r.ID) // nginx's map ignores case: of two that differ in nothing else, one can be forced
		if seen[key] {
			continue
		}
		seen[key] = true
		v.Forced = append(v.Forced, forcedView{m.Name, r.ID, v.only(m, r)})
	}
}

// only returns the upstream of a release's instances and no others: that of its share where that has no backup.
func (v *view) only(m Model, r Release) string {
	for _, s := range m.Shares {
		if s.Release == r.ID && len(s.Backup) == 0 && slices.Equal(sorted(s.Primary), sorted(r.Instances)) {
			return upstreamName("share", m.Name, r.ID)
		}
	}
	return v.addUpstream("only", m.Name, r.ID, r.Instances, nil)
}

// addShadow adds who gets copies of a model's requests.
func (v *view) addShadow(m Model, ident string) {
	s := m.Shadow
	if s == nil {
		return
	}
	tries := v.Tries // a copy is sent once
	name := v.addUpstream("shadow", m.Name, s.ID, s.Instances, nil)
	v.Tries, v.Upstreams[len(v.Upstreams)-1].MaxConns = tries, shadowConns
	v.Shadows = append(v.Shadows, shadowView{m.Name, ident, name, s.Percent})
}

// ShadowConnect is how long a copy waits for a connection.
func (v *view) ShadowConnect() time.Duration { return min(v.ConnectTimeout, shadowTimeout) }

// ShadowAnswer is how long a copy waits between two writes, and for its answer.
func (v *view) ShadowAnswer() time.Duration { return min(v.RequestTimeout, shadowTimeout) }

// upstreamName names an upstream. The release goes into it as a digest: nginx looks names up without regard to case and
// takes some characters of a release id for something else.
func upstreamName(kind, model, release string) string {
	sum := sha256.Sum256([]byte(release))
	return fmt.Sprintf("weir_%s_%s_%s", kind, model, hex.EncodeToString(sum[:5]))
}

// addUpstream adds an upstream and returns its name.
func (v *view) addUpstream(kind, model, release string, primary, backup []Instance) string {
	name := upstreamName(kind, model, release)
	comment := fmt.Sprintf("%s, release %s", model, release)
	if release == "" {
		comment = model + ", instances of any release: none is recorded"
	}
	switch kind {
	case "only":
		comment += ", when forced"
	case "shadow":
		comment += ", copies"
	}
	v.Upstreams = append(v.Upstreams, upstreamView{
		Name: name, Release: release, Comment: comment,
		Primary: sorted(primary), Backup: sorted(backup),
	})
	v.Tries = min(max(v.Tries, len(primary)+min(len(backup), backupTries)), maxTries)
	return name
}

func sorted(instances []Instance) []Instance {
	out := slices.Clone(instances)
	slices.SortFunc(out, func(a, b Instance) int { return a.Addr.Compare(b.Addr) })
	return out
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }
