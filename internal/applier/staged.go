package applier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	consultemplate "github.com/weirhq/weir/consul-template"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/nginx"
)

// key is a value in Consul's KV store, as it was read.
type key struct {
	Value       []byte
	CreateIndex uint64 // Consul's index when it was created
	ModifyIndex uint64 // and of its last change
}

// instance is a passing instance of a model. Its fields are checked.
type instance struct {
	Model   string
	Release string
	Canary  bool
	nginx.Instance
}

// staged is what consul-template has last written.
type staged struct {
	Keys      map[string]key // under weir/traffic/, by their full name; nil: never staged
	KeysAt    time.Time      // when Keys were written
	Instances []instance     // nil: never staged
	Problems  []problem      // what was left out, and why
}

// problem is a thing from Consul that is not applied. A model with a problem stays at its last known good.
type problem struct {
	Model string
	Text  string
}

// weightsFile and endpointsFile are the documents of consul-template/*.ctmpl.
type weightsFile struct {
	Keys []struct {
		Key         string `json:"key"`
		CreateIndex uint64 `json:"create_index"`
		ModifyIndex uint64 `json:"modify_index"`
		Value       []byte `json:"value"`
	} `json:"keys"`
}

type endpointsFile struct {
	Instances []stagedInstance `json:"instances"`
}

type stagedInstance struct {
	Service string            `json:"service"`
	ID      string            `json:"id"`
	Address string            `json:"address"`
	Port    int               `json:"port"`
	Weight  int               `json:"weight"`
	Meta    map[string]string `json:"meta"`
}

// readStaged reads both files of the folder. One that is not there yet leaves its part nil; one that can't be read is an
// error, and the caller keeps what it had.
func readStaged(dir string) (staged, error) {
	weights, at, err := readFile(filepath.Join(dir, consultemplate.Weights))
	if err != nil {
		return staged{}, err
	}
	endpoints, _, err := readFile(filepath.Join(dir, consultemplate.Endpoints))
	if err != nil {
		return staged{}, err
	}
	in, err := parseStaged(weights, endpoints)
	in.KeysAt = at
	return in, err
}

// readFile reads a file that is replaced as a whole, and when it was written. One that is not there is nil.
func readFile(path string) ([]byte, time.Time, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read staged file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read staged file: %w", err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read staged file: %w", err)
	}
	return text, info.ModTime(), nil
}

// parseStaged reads the two documents; a nil one leaves its part nil.
func parseStaged(weights, endpoints []byte) (staged, error) {
	var out staged
	if weights != nil {
		var doc weightsFile
		if err := json.Unmarshal(weights, &doc); err != nil {
			return staged{}, fmt.Errorf("read the staged %s: %w", consultemplate.Weights, err)
		}
		out.Keys = make(map[string]key, len(doc.Keys))
		for _, k := range doc.Keys {
			out.Keys[k.Key] = key{k.Value, k.CreateIndex, k.ModifyIndex}
		}
	}
	if endpoints != nil {
		var doc endpointsFile
		if err := json.Unmarshal(endpoints, &doc); err != nil {
			return staged{}, fmt.Errorf("read the staged %s: %w", consultemplate.Endpoints, err)
		}
		out.Instances, out.Problems = parseInstances(doc.Instances)
	}
	return out, nil
}

// parseInstances checks each instance and leaves out what can't be routed to.
func parseInstances(found []stagedInstance) ([]instance, []problem) {
	out := make([]instance, 0, len(found))
	var problems []problem
	for _, f := range found {
		in, err := f.parse()
		if err != nil {
			problems = append(problems, problem{f.Service, fmt.Sprintf("instance %.100q is left out: %v", f.ID, err)})
			continue
		}
		out = append(out, in)
	}
	return out, problems
}

func (f stagedInstance) parse() (instance, error) {
	if err := traffic.CheckModel(f.Service); err != nil {
		return instance{}, err
	}
	if m := f.Meta[traffic.MetaModel]; m != "" && m != f.Service {
		return instance{}, fmt.Errorf("its meta %s is %.100q but its service is %q", traffic.MetaModel, m, f.Service)
	}
	release := f.Meta[traffic.MetaRelease]
	if err := traffic.CheckRelease(release); err != nil {
		return instance{}, fmt.Errorf("its meta %s: %w", traffic.MetaRelease, err)
	}
	addr, err := netip.ParseAddr(f.Address)
	if err != nil || addr.Zone() != "" {
		return instance{}, fmt.Errorf("its address is %.100q; want an IP address", f.Address)
	}
	if f.Port < 1 || f.Port > 65535 {
		return instance{}, fmt.Errorf("its port is %d; want 1 to 65535", f.Port)
	}
	if f.Weight < 1 || f.Weight > 65535 {
		return instance{}, fmt.Errorf("its Consul weight is %d; want 1 to 65535", f.Weight)
	}
	return instance{
		Model: f.Service, Release: release, Canary: f.Meta[traffic.MetaCanary] == "true",
		Instance: nginx.Instance{Addr: netip.AddrPortFrom(addr.Unmap(), uint16(f.Port)), Weight: f.Weight}, //nolint:gosec // checked
	}, nil
}

// parseStable reads a Stable from KV; nil for an absent key.
func parseStable(k *key) (*traffic.Stable, error) {
	if k == nil {
		return nil, nil //nolint:nilnil // absence is a value here
	}
	var s traffic.Stable
	if err := json.Unmarshal(k.Value, &s); err != nil {
		return nil, fmt.Errorf("the stable key is not as wanted: %w", err)
	}
	if s.Release != traffic.NoRelease {
		if err := traffic.CheckRelease(s.Release); err != nil {
			return nil, fmt.Errorf("the stable key is not as wanted: %w", err)
		}
	}
	if s.Epoch == 0 {
		return nil, errors.New("the stable key is not as wanted: epoch is 0 or missing")
	}
	return &s, nil
}

// parseCanary reads a Canary from KV; nil for an absent key.
func parseCanary(k *key) (*traffic.Canary, error) {
	if k == nil {
		return nil, nil //nolint:nilnil // absence is a value here
	}
	var c struct {
		traffic.Canary
		Weight *int `json:"weight"` // a missing weight is no weight of 0
	}
	if err := json.Unmarshal(k.Value, &c); err != nil {
		return nil, fmt.Errorf("the canary key is not as wanted: %w", err)
	}
	if err := traffic.CheckRelease(c.Release); err != nil {
		return nil, fmt.Errorf("the canary key is not as wanted: %w", err)
	}
	if c.Weight == nil || *c.Weight < 0 || *c.Weight > 100 {
		return nil, errors.New("the canary key is not as wanted: weight is missing or not 0 to 100")
	}
	if c.Shadow < 0 || c.Shadow > 100 {
		return nil, fmt.Errorf("the canary key is not as wanted: shadow is %d, not 0 to 100", c.Shadow)
	}
	if c.Epoch == 0 {
		return nil, errors.New("the canary key is not as wanted: epoch is 0 or missing")
	}
	c.Canary.Weight = *c.Weight
	return &c.Canary, nil
}

// splitKey reads "weir/traffic/<model>/<stable or canary>".
func splitKey(name string) (model, which string, ok bool) {
	model, which, ok = strings.Cut(strings.TrimPrefix(name, traffic.TrafficPrefix), "/")
	ok = ok && (which == "stable" || which == "canary") && traffic.CheckModel(model) == nil
	return model, which, ok
}
