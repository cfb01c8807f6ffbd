package consultemplate

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	path, err := Write(dir, filepath.Join(dir, "staged"), "127.0.0.1:8500")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got = bytes.ReplaceAll(got, []byte(dir), []byte("/run/weir"))
	golden := filepath.Join("testdata", "consul-template.hcl")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the configuration differs from %s; if that is wanted: go test ./consul-template -update\n%s", golden, got)
	}
}

// The templates with the real consul-template and Consul: whatever stands in Consul, what is staged is JSON with the raw
// values in it, and a service that is none of ours is left out.
func TestStages(t *testing.T) {
	consul := partstest.Consul(t)
	client, err := consul.Client()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"weir/traffic/iris/canary": "\"}]}\n\x00\xff{{ key \"x\" }}",
		"weir/traffic/iris/stable": `{"release":"none","epoch":1}`,
		"weir/traffic/iris/":       "a folder",
		"weir/other":               "not traffic",
	}
	for name, value := range values {
		if _, err := client.KV().Put(&api.KVPair{Key: name, Value: []byte(value)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []api.AgentServiceRegistration{
		{ID: "a", Name: "iris", Tags: []string{"weir"}, Address: "10.0.0.1", Port: 80, Meta: map[string]string{"release": `"};`}},
		{ID: "b", Name: "iris", Tags: []string{"weir"}, Address: "10.0.0.2", Port: 81, Check: &api.AgentServiceCheck{TTL: "1h"}},
		{ID: "c", Name: "iris", Tags: []string{"other"}, Address: "10.0.0.3", Port: 82},
		{ID: "d", Name: "wine", Tags: []string{"weir"}, Port: 83, Weights: &api.AgentWeights{Passing: 7, Warning: 1}},
		{ID: "e", Name: "Not a model!", Tags: []string{"weir"}, Port: 84},
	} {
		if err := client.Agent().ServiceRegister(&s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	config, err := Write(filepath.Join(dir, "conf"), filepath.Join(dir, "staged"), consul.Addr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), partstest.Path(t, parts.ConsulTemplate), "-config", config, "-once").CombinedOutput()
	if err != nil {
		t.Fatalf("consul-template: %v\n%s", err, out)
	}
	checkWeights(t, filepath.Join(dir, "staged", Weights), values)
	checkEndpoints(t, filepath.Join(dir, "staged", Endpoints))
}

func checkWeights(t *testing.T, path string, values map[string]string) {
	t.Helper()
	var doc struct {
		Keys []struct {
			Key         string `json:"key"`
			ModifyIndex uint64 `json:"modify_index"`
			Value       []byte `json:"value"`
		} `json:"keys"`
	}
	read(t, path, &doc)
	if len(doc.Keys) != 2 {
		t.Errorf("staged keys: %+v, want two", doc.Keys)
	}
	for _, k := range doc.Keys {
		if string(k.Value) != values[k.Key] || k.ModifyIndex == 0 {
			t.Errorf("key %s: %q at index %d, want %q", k.Key, k.Value, k.ModifyIndex, values[k.Key])
		}
	}
}

func checkEndpoints(t *testing.T, path string) {
	t.Helper()
	type instance struct {
		Service, ID, Address string
		Port, Weight         int
		Meta                 map[string]string
	}
	var doc struct{ Instances []instance }
	read(t, path, &doc)
	got := map[string]instance{}
	for _, in := range doc.Instances {
		got[in.ID] = in
	}
	if len(got) != 2 || got["a"].Meta["release"] != `"};` || got["a"].Port != 80 || got["a"].Weight != 1 {
		t.Errorf("staged instances: %+v, want a and d", doc.Instances)
	}
	if d := got["d"]; d.Service != "wine" || d.Weight != 7 || d.Address != "127.0.0.1" {
		t.Errorf("instance d: %+v, want the address of its node and its Consul weight", d)
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s is no JSON: %v\n%s", path, err, text)
	}
}
