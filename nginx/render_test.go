package nginx

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	blue  = "v1.0.0-aaaaaaaa"
	green = "v1.1.0-bbbbbbbb"
)

func at(addr string, weight int) Instance {
	return Instance{Addr: netip.MustParseAddrPort(addr), Weight: weight}
}

func settings() Settings {
	return Settings{
		Binary: "/usr/sbin/nginx", Dir: "/run/weir/nginx", Listen: "127.0.0.1:8086", Workers: 2, MaxBody: "8m",
		Trusted:        []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		ConnectTimeout: 300 * time.Millisecond, RequestTimeout: 30 * time.Second, RetryTimeout: 10 * time.Second,
		ShutdownTimeout: 35 * time.Second, DrainWindow: 200 * time.Millisecond,
	}
}

// sample is a site and the name of its golden file.
type sample struct {
	name         string
	site         Site
	set          func(*Settings)
	keepaliveMin bool
}

var (
	blues  = []Instance{at("10.0.0.1:21001", 1), at("10.0.0.2:21002", 3)}
	greens = []Instance{at("10.0.0.3:22001", 1), at("[2001:db8::1]:22002", 1)}
	both   = []Release{{blue, blues}, {green, greens}}
)

func samples() []sample {
	iris := func(m Model) Site { m.Name = "iris"; return Site{Default: "iris", Models: []Model{m}} }
	return []sample{
		{name: "nothing"},
		{name: "no-record", site: iris(Model{
			Epoch: "0/-", Shares: []Share{{Percent: 100, Primary: blues}}, Releases: both[:1],
		})},
		{name: "stable", site: iris(Model{
			Epoch: "3/-", Shares: []Share{{Release: blue, Percent: 100, Primary: blues}}, Releases: both[:1],
		})},
		{name: "canary-10", site: iris(Model{Epoch: "3/4", Releases: both, Shares: []Share{
			{Release: green, Percent: 10, Primary: greens, Backup: blues}, {Release: blue, Percent: 90, Primary: blues},
		}})},
		{name: "canary-100", site: iris(Model{
			Epoch: "3/9", Shares: []Share{{Release: green, Percent: 100, Primary: greens, Backup: blues}}, Releases: both,
		})},
		{name: "shadow", site: iris(Model{
			Epoch: "3/4", Shares: []Share{{Release: blue, Percent: 100, Primary: blues}}, Releases: both,
			Shadow: &Shadow{Release: both[1], Percent: 100},
		})},
		{name: "shadow-10", keepaliveMin: true, site: Site{Default: "iris", Models: []Model{
			{
				Name: "iris", Epoch: "3/4", Shares: []Share{{Release: blue, Percent: 100, Primary: blues}},
				Shadow: &Shadow{Release: both[1], Percent: 10},
			},
			{Name: "wine-2", Epoch: "1/-", Shares: []Share{{Release: blue, Percent: 100, Primary: blues}}},
		}}},
		{name: "none", site: iris(Model{
			Epoch: "1/-", Shares: []Share{{Percent: 100, Nothing: NoRelease}}, Releases: both[1:],
		})},
		{name: "more-models", site: Site{Default: "a-model", Stale: true, Models: []Model{
			{Name: "a-model", Epoch: "0/-", Nothing: NoInstance},
			{Name: "default", Epoch: "0/-", Nothing: NoInstance}, // a word of nginx's map
			{Name: "hostnames", Epoch: "0/-", Nothing: NoInstance},
			{Name: "iris", Epoch: "12/-", Shares: []Share{{Release: blue, Percent: 100, Primary: blues}}, Releases: both},
		}}},
		{name: "newer-nginx", keepaliveMin: true, site: iris(Model{
			Epoch: "3/-", Shares: []Share{{Release: blue, Percent: 100, Primary: blues}},
		})},
		{name: "settings", set: func(s *Settings) {
			s.Listen, s.User, s.AccessLog, s.Workers = "192.0.2.7:80", "www-data", "off", 0
			s.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}},
	}
}

func (s sample) settings() Settings {
	set := settings()
	if s.set != nil {
		s.set(&set)
	}
	return set
}

func TestRender(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			got, err := render(s.settings(), s.site, "00000007-0123456789ab", s.keepaliveMin)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", s.name+".conf")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the configuration differs from %s; if that is wanted: go test ./nginx -update\n%s", path, got)
			}
		})
	}
}

// Every sample that this nginx can read passes `nginx -t`.
func TestSamplesPassNginx(t *testing.T) {
	binary := partstest.Path(t, parts.Nginx)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			set := settings()
			set.Binary, set.Dir, set.Listen = binary, t.TempDir(), "127.0.0.1:1"
			server, err := Open(t.Context(), set, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			set.Listen = "127.0.0.1:8086"
			server.set = set
			if _, err := server.stage(t.Context(), s.site); err != nil {
				t.Error(err)
			}
		})
	}
}

// A site or settings that would make another configuration than meant are refused, whatever was checked before.
func TestRefuses(t *testing.T) {
	ok := func() Site { return samples()[3].site }
	sites := map[string]func(*Site){
		"a default model with a brace":  func(s *Site) { s.Default = "iris;}" },
		"a model's name":                func(s *Site) { s.Models[0].Name = `iris" 1; "` },
		"an epoch":                      func(s *Site) { s.Models[0].Epoch = "1/2'" },
		"a share's release":             func(s *Site) { s.Models[0].Shares[0].Release = "v1; #-aaaaaaaa" },
		"a share of 0":                  func(s *Site) { s.Models[0].Shares[0].Percent = 0 },
		"shares of 110":                 func(s *Site) { s.Models[0].Shares[0].Percent = 20 },
		"an instance without a port":    func(s *Site) { s.Models[0].Shares[0].Primary[0].Addr = netip.AddrPort{} },
		"an instance with a zone":       func(s *Site) { s.Models[0].Shares[0].Primary[0] = at("[fe80::1%a;b]:80", 1) },
		"an instance without weight":    func(s *Site) { s.Models[0].Shares[0].Primary[0].Weight = 0 },
		"a share with nobody":           func(s *Site) { s.Models[0].Shares[0].Primary = nil },
		"a model with nobody":           func(s *Site) { s.Models[0].Shares = nil },
		"a reason that is none":         func(s *Site) { s.Models[0].Shares, s.Models[0].Nothing = nil, "x" },
		"a release that can be forced":  func(s *Site) { s.Models[0].Releases[0].ID = "$remote_addr" },
		"a forced release with nobody":  func(s *Site) { s.Models[0].Releases[0].Instances = nil },
		"a backup that is no address":   func(s *Site) { s.Models[0].Shares[0].Backup = make([]Instance, 1) },
		"copies for nobody":             func(s *Site) { s.Models[0].Shadow = &Shadow{Release{ID: blue}, 10} },
		"copies for another id":         func(s *Site) { s.Models[0].Shadow = &Shadow{Release{"$host", blues}, 10} },
		"copies of 0 %":                 func(s *Site) { s.Models[0].Shadow = &Shadow{both[0], 0} },
		"a forced instance that is not": func(s *Site) { s.Models[0].Releases[0].Instances = make([]Instance, 1) },
	}
	for name, spoil := range sites {
		s := clone(ok())
		spoil(&s)
		if _, err := render(settings(), s, "1-a", false); err == nil {
			t.Errorf("%s: rendered", name)
		}
	}
	for name, spoil := range map[string]func(*Settings){
		"a relative folder":    func(s *Settings) { s.Dir = "nginx" },
		"a folder with quotes": func(s *Settings) { s.Dir = `/a"; b` },
		"a variable in a path": func(s *Settings) { s.AccessLog = "/log/$host" },
		"a user":               func(s *Settings) { s.User = "root; daemon on" },
		"a size":               func(s *Settings) { s.MaxBody = "8 m" },
		"a listen name":        func(s *Settings) { s.Listen = "localhost:80" },
		"a listen port":        func(s *Settings) { s.Listen = "127.0.0.1:0" },
		"no timeout":           func(s *Settings) { s.ConnectTimeout = 0 },
	} {
		set := settings()
		spoil(&set)
		if set.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// clone copies what the test spoils.
func clone(s Site) Site {
	m := s.Models[0]
	m.Shares = append([]Share(nil), m.Shares...)
	for i := range m.Shares {
		m.Shares[i].Primary = append([]Instance(nil), m.Shares[i].Primary...)
	}
	m.Releases = append([]Release(nil), m.Releases...)
	s.Models = []Model{m}
	return s
}

// The tries of a request reach two backups behind every primary, within a bound.
func TestTriesAreBounded(t *testing.T) {
	for primaries, want := range map[int]string{1: "3;", 2: "4;", 4: "6;", 20: "8;"} {
		var many []Instance
		for i := range primaries {
			many = append(many, at(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1000+i)).String(), 1))
		}
		site := Site{Default: "iris", Models: []Model{{
			Name: "iris", Epoch: "1/2", Shares: []Share{{Release: green, Percent: 100, Primary: many, Backup: blues}},
		}}}
		got, err := render(settings(), site, "1-a", false)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), "proxy_next_upstream_tries "+want) {
			t.Errorf("%d primaries: want %s tries", primaries, want)
		}
	}
}

// A configuration that nginx refuses is told with nginx's words and leaves nothing behind.
func TestStageRefused(t *testing.T) {
	set := settings()
	set.Binary, set.Dir, set.User = partstest.Path(t, parts.Nginx), t.TempDir(), "no-such-user-here"
	server, err := Open(t.Context(), set, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		server.set.MaxBody = "99999999999g" // only root's nginx looks users up
	}
	if _, err := server.stage(context.Background(), Site{}); err == nil || !strings.Contains(err.Error(), "refused.conf") {
		t.Errorf("stage: %v, want nginx's refusal and where the refused file is", err)
	}
	if names, _ := server.generations(); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}
