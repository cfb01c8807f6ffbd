package cli

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"version", "-o", "json"}, nil, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var b built
	if err := json.Unmarshal(out.Bytes(), &b); err != nil || b.Version == "" || !strings.HasPrefix(b.Go, "go") {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestBuilt(t *testing.T) {
	got := ofThis(&debug.BuildInfo{
		Main:     debug.Module{Version: "v0.3.0"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}, true)
	if got.Version != "v0.3.0" || got.Revision != "abc" || !got.Modified {
		t.Errorf("%+v", got)
	}
	if got := ofThis(nil, false); got.Version != "(devel)" {
		t.Errorf("without build info: %+v", got)
	}
}
