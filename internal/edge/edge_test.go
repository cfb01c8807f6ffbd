package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/weirhq/weir/nginx"
)

const (
	blue   = "v1.0.0-aaaaaaaa"
	green  = "v1.1.0-bbbbbbbb"
	first  = "00000001-aaaaaaaaaaaa"
	second = "00000002-bbbbbbbbbbbb"
)

// logged is a line as nginx writes it.
type logged struct {
	generation, model, release, forced, status, addrs, codes, connects, headers string
}

func (l logged) line() []byte {
	return fmt.Appendf(nil, `{"time":"2026-11-24T12:00:00+00:00","request_id":"1","client":"::1","model":%q,"release":%q,`+
		`"answered_by":"","forced":%q,"method":"POST","uri":"/x?\"\\u00e9,\"","status":%q,"seconds":"0.020","bytes":"2",`+
		`"attempts":"1","upstream_addr":%q,"upstream_status":%q,"upstream_connect":%q,"upstream_header":%q,`+
		`"upstream_seconds":"0.010","generation":%q}`,
		l.model, l.release, l.forced, l.status, l.addrs, l.codes, l.connects, l.headers, l.generation)
}

// The lines are those of nginx 1.22.1 for an instance that refuses, resets, hangs and answers 503.
func TestOutcomesOfAttempts(t *testing.T) {
	for _, tt := range []struct {
		name, codes, connects, headers string
		want                           []string
	}{
		{"answered", "200", "0.000", "0.001", []string{"answered"}},
		{"refused by the instance", "404", "0.000", "0.001", []string{"answered"}},
		{"no connection, then answered", "502, 200", "-, 0.000", "-, 0.001", []string{"connect", "answered"}},
		{"no connection in time", "504, 200", "-, 0.000", "-, 0.001", []string{"connect", "answered"}},
		{"reset, then answered", "502, 200", "0.000, 0.000", "-, 0.000", []string{"reset", "answered"}},
		{"silent, then 503, then 500", "504, 503, 500", "0.000, 0.000, 0.000", "-, 0.000, 0.000", []string{"timeout", "503", "5xx"}},
		{"the client went away", "-", "0.000", "-", []string{"abandoned"}},
		{"behind an internal redirect", "502 : 200", "0.000 : 0.000", "- : 0.000", []string{"reset", "answered"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addrs := strings.TrimSuffix(strings.Repeat("127.0.0.1:1, ", len(tt.want)), ", ")
			r, err := Parse(logged{first, "iris", green, "", "200", addrs, tt.codes, tt.connects, tt.headers}.line())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range r.Attempts {
				got = append(got, a.kind())
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	whole := logged{first, "iris", green, "weir_only", "200", "[::1]:80", "200", "0.000", "0.001"}.line()
	torn := append(whole[:len(whole)/2:len(whole)/2], whole...)
	for name, line := range map[string][]byte{"whole": whole, "behind a torn one": torn} {
		r, err := Parse(line)
		if err != nil || r.Model != "iris" || r.Release != green || !r.Forced || r.Status != 200 || r.Seconds != 0.02 ||
			r.Generation != first || len(r.Attempts) != 1 || r.Attempts[0].Addr != netip.MustParseAddrPort("[::1]:80") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	none, err := Parse(logged{first, "iris", green, "", "502", "weir_share_iris_1", "502", "-", "-"}.line())
	if err != nil || len(none.Attempts) != 0 {
		t.Errorf("without an instance to ask: %+v, %v", none, err)
	}
	for _, bad := range []string{"", "x", "{}", `{"a":"b"}`, string(whole[:len(whole)-9]), string(whole) + "x", `{"a"`} {
		if _, err := Parse([]byte(bad)); !errors.Is(err, errLine) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(logged{first, "iris", green, "", "200", "1.1.1.1:1, [::1]:2", "502, 200", "-, 0.0", "-, 0.0"}.line())
	f.Add([]byte(`{"time":"{"time":""}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := Parse(line)
		if err == nil && r.Generation == "" && len(r.Attempts) > len(line) {
			t.Error("more attempts than bytes")
		}
	})
}

// sites are two generations: in the second the canary's port 2 has become stable's, and the epoch is another.
func sites(generation string) (nginx.Site, error) {
	in := func(ports ...uint16) (out []nginx.Instance) {
		for _, p := range ports {
			out = append(out, nginx.Instance{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p), Weight: 1})
		}
		return out
	}
	site := func(epoch string, blues, greens []nginx.Instance) nginx.Site {
		return nginx.Site{Default: "iris", Models: []nginx.Model{{
			Name: "iris", Epoch: epoch, Releases: []nginx.Release{{ID: blue, Instances: blues}, {ID: green, Instances: greens}},
			Shares: []nginx.Share{
				{Release: green, Percent: 10, Primary: greens, Backup: blues}, {Release: blue, Percent: 90, Primary: blues},
			},
		}}}
	}
	switch generation {
	case first:
		return site("1/2", in(1), in(2, 3)), nil
	case second:
		return site("1/3", in(1, 2), in(3)), nil
	}
	return nginx.Site{}, errors.New("no such generation")
}

func request(generation, release, forced string, status int, attempts ...string) []byte {
	l := logged{generation: generation, model: "iris", release: release, forced: forced, status: fmt.Sprint(status)}
	for _, a := range attempts {
		port, what, _ := strings.Cut(a, " ")
		code, connect, header := what, "0.001", "0.002"
		switch what {
		case "reset":
			code, header = "502", "-"
		case "connect":
			code, connect, header = "502", "-", "-"
		}
		sep := ", "
		if l.addrs == "" {
			sep = ""
		}
		l.addrs += sep + "127.0.0.1:" + port
		l.codes += sep + code
		l.connects += sep + connect
		l.headers += sep + header
	}
	return l.line()
}

// page returns the samples that the handler serves.
func page(t *testing.T, c *Counts, model string) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequest("GET", Path+"?model="+model, nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && line[0] != '#' {
			out[name+"}"] = value
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && line[0] != '#' {
			out[name] = value
		}
	}
	return out
}

func check(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

func TestCounts(t *testing.T) {
	c := New("edge-1", sites)
	c.Add([][]byte{
		request(first, green, "", 200, "2 200"),
		request(first, green, "", 200, "2 reset", "1 200"), // made good by stable
		request(first, green, "", 200, "3 reset", "2 200"), // made good by its own release
		request(first, green, "", 200, "1 200"),            // no canary passed: its backup had the request alone
		request(first, green, "only", 200, "2 200"),        // forced: not drawn
		request(first, blue, "", 200, "1 200"),
		request(first, blue, "", 500, "1 500"),
		request(first, "", "", 404), // nginx itself
		[]byte("torn"),
		request("00000009-cccccccccccc", blue, "", 200, "1 200"), // nobody knows what that served
		logged{first, "made-up", "", "", "404", "", "", "", ""}.line(),
	})
	got := page(t, c, "iris")
	check(t, got, map[string]string{
		`weir_ingress_requests_total{code="200",model="iris",release="` + green + `"}`:                   "5",
		`weir_ingress_requests_total{code="500",model="iris",release="` + blue + `"}`:                    "1",
		`weir_ingress_attempts_total{model="iris",outcome="reset",release="` + green + `"}`:              "2",
		`weir_ingress_attempts_total{model="iris",outcome="answered",release="` + green + `"}`:           "3",
		`weir_ingress_attempts_total{model="iris",outcome="answered",release="` + blue + `"}`:            "3",
		`weir_ingress_attempts_total{model="iris",outcome="5xx",release="` + blue + `"}`:                 "1",
		`weir_ingress_retried_away_total{model="iris",release="` + green + `"}`:                          "2",
		`weir_ingress_retried_away_total{model="iris",release="` + blue + `"}`:                           "0",
		`weir_ingress_first_attempts_total{code="0",epoch="1/2",model="iris",release="` + green + `"}`:   "2",
		`weir_ingress_first_attempts_total{code="200",epoch="1/2",model="iris",release="` + green + `"}`: "1",
		`weir_ingress_first_attempts_total{code="200",epoch="1/2",model="iris",release="` + blue + `"}`:  "1",
		`weir_ingress_first_attempts_total{code="500",epoch="1/2",model="iris",release="` + blue + `"}`:  "1",
		`weir_ingress_request_duration_seconds_bucket{model="iris",release="` + green + `",le="0.025"}`:  "5",
		`weir_ingress_request_duration_seconds_count{model="iris",release="` + blue + `"}`:               "2",
		`weir_ingress_log_lines_unreadable_total`:                                                        "1",
		`weir_ingress_requests_unmapped_total`:                                                           "1",
	})
	for name := range got {
		if strings.Contains(name, "made-up") {
			t.Errorf("a client made a series: %s", name)
		}
	}
}

// The same address is another release's in another generation, also while old workers still finish their requests; draws
// count for the newest epoch only.
func TestOldWorkersAreReadByTheirOwnConfiguration(t *testing.T) {
	c := New("edge-1", sites)
	c.Add([][]byte{
		request(first, green, "", 200, "2 200"),
		request(second, blue, "", 200, "2 200"),
		request(first, green, "", 200, "2 connect", "1 200"), // an old worker, late
		request(second, green, "", 200, "3 200"),
	})
	got := page(t, c, "")
	check(t, got, map[string]string{
		`weir_ingress_attempts_total{model="iris",outcome="connect",release="` + green + `"}`:            "1",
		`weir_ingress_attempts_total{model="iris",outcome="answered",release="` + green + `"}`:           "2",
		`weir_ingress_attempts_total{model="iris",outcome="answered",release="` + blue + `"}`:            "2",
		`weir_ingress_first_attempts_total{code="200",epoch="1/3",model="iris",release="` + green + `"}`: "1",
		`weir_ingress_first_attempts_total{code="200",epoch="1/3",model="iris",release="` + blue + `"}`:  "1",
		`weir_ingress_first_attempts_total{code="0",epoch="1/3",model="iris",release="` + green + `"}`:   "",
	})
}

func TestServedState(t *testing.T) {
	c := New("edge-1", sites)
	site, _ := sites(first)
	c.Serve(nginx.Served{Site: site, Generation: first}, false)
	c.Serve(nginx.Served{Site: site, Generation: first}, true)
	c.Freshness(time.Now(), true)
	check(t, page(t, c, ""), map[string]string{
		`weir_ingress_weight{model="iris",release="` + green + `"}`: "10",
		`weir_ingress_epoch{model="iris",side="stable"}`:            "1",
		`weir_ingress_epoch{model="iris",side="canary"}`:            "2",
		`weir_ingress_reloads_total`:                                "1",
		`weir_ingress_stale`:                                        "1",
		`weir_ingress_info{node="edge-1"}`:                          "1",
	})
	if got := page(t, c, "wine"); got[`weir_ingress_epoch{model="iris",side="stable"}`] != "" || got["weir_ingress_stale"] != "1" {
		t.Errorf("of one model: %v", got)
	}
	c.Add([][]byte{request(first, blue, "", 200, "1 200")})
	if got := page(t, c, "iris&only=first_attempts"); len(got) != 3 { // with node and start
		t.Errorf("first attempts only: %v", got)
	}
	c.mu.Lock()
	c.forget(table{}, time.Now().Add(2*forget))
	left := len(c.series)
	c.mu.Unlock()
	if left != 0 {
		t.Errorf("%d series of releases that are gone", left)
	}
}

// The page follows Prometheus's conventions.
func TestMetricsAreNamedAsPrometheusWants(t *testing.T) {
	c := New("edge-1", sites)
	site, _ := sites(first)
	c.Serve(nginx.Served{Site: site, Generation: first}, true)
	c.Freshness(time.Now(), false)
	c.Add([][]byte{request(first, green, "", 200, "2 reset", "1 200")})
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
	problems, err := promlint.New(w.Body).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{first, second, true}, {second, first, false}, {first, first, false}, {"99999999-a", "100000000-a", true}, {"", first, true}} {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("older(%q, %q) = %t", tt.a, tt.b, got)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	c := New("edge-1", sites)
	line := [][]byte{request(first, green, "", 200, "2 reset", "1 200")}
	for b.Loop() {
		c.Add(line)
	}
}
