package applier

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	consultemplate "github.com/weirhq/weir/consul-template"
)

func TestParseInstance(t *testing.T) {
	good := stagedInstance{
		Service: "iris", ID: "i-1", Address: "10.0.0.1", Port: 80, Weight: 1, Meta: map[string]string{"release": blue, "model": "iris"},
	}
	if _, err := good.parse(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*stagedInstance){
		"a service that is no model":  func(s *stagedInstance) { s.Service = "Iris" },
		"another model":               func(s *stagedInstance) { s.Meta["model"] = "wine" },
		"no release":                  func(s *stagedInstance) { delete(s.Meta, "release") },
		"a release with a line break": func(s *stagedInstance) { s.Meta["release"] = "v1\n-aaaaaaaa" },
		"a name for an address":       func(s *stagedInstance) { s.Address = "localhost" },
		"an address with more in it":  func(s *stagedInstance) { s.Address = "10.0.0.1; server 10.0.0.2" },
		"an address with a zone":      func(s *stagedInstance) { s.Address = "fe80::1%eth0" },
		"no address":                  func(s *stagedInstance) { s.Address = "" },
		"no port":                     func(s *stagedInstance) { s.Port = 0 },
		"a port past the last":        func(s *stagedInstance) { s.Port = 65536 },
		"a weight of 0":               func(s *stagedInstance) { s.Weight = 0 },
	} {
		bad := good
		bad.Meta = map[string]string{"release": blue, "model": "iris"}
		spoil(&bad)
		if in, err := bad.parse(); err == nil {
			t.Errorf("%s: taken as %v", name, in)
		}
	}
}

// Whatever Consul holds, nothing panics and the site that follows is one that nginx can be given.
func FuzzStaged(f *testing.F) {
	f.Add([]byte(`{"keys":[{"key":"weir/traffic/iris/stable","modify_index":1,"value":"eyJyZWxlYXNlIjoibm9uZSIsImVwb2NoIjoxfQ=="}]}`),
		[]byte(`{"instances":[{"service":"iris","id":"a","address":"10.0.0.1","port":1,"weight":1,"meta":{"release":"v1-aaaaaaaa"}}]}`))
	f.Add([]byte(`{"keys":[]}`), []byte(`{"instances":[]}`))
	f.Fuzz(func(t *testing.T, weights, endpoints []byte) {
		in, err := parseStaged(weights, endpoints)
		if err != nil {
			return
		}
		checkMerge(t, in)
	})
}

// FuzzRecord does the same for the two values of one model.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(stableDoc(blue, 1)), []byte(canaryDoc(green, 50, 2)))
	f.Add([]byte("null"), []byte(`{"weight":1e99}`))
	f.Fuzz(func(t *testing.T, stable, canary []byte) {
		checkMerge(t, staged{
			Keys: kv(string(stable), string(canary)), KeysAt: t0, Instances: []instance{at(blue, 1, false), at(green, 2, true)},
		})
	})
}

func checkMerge(t *testing.T, in staged) {
	t.Helper()
	m := merge(known{}, in, nil, time.Minute, t0)
	for _, stale := range []bool{false, true} {
		if err := site(m.Known, in.Instances, "", stale).Check(); err != nil {
			t.Error(err)
		}
	}
	if _, err := json.Marshal(m.Known); err != nil {
		t.Error(err)
	}
}

// Files that are not there yet leave their part unknown; one that is torn is an error.
func TestReadStaged(t *testing.T) {
	dir := t.TempDir()
	in, err := readStaged(dir)
	if err != nil || in.Keys != nil || in.Instances != nil {
		t.Errorf("without files: %+v, %v", in, err)
	}
	path := filepath.Join(dir, consultemplate.Weights)
	if err := os.WriteFile(path, []byte(`{"keys":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readStaged(dir); err == nil {
		t.Error("a torn file was taken")
	}
}
