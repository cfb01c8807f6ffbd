package client_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestArtifactsAndTemplatesAreThereBeforeTheStart(t *testing.T) {
	t.Parallel()
	const content = "the model"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(server.Close)
	sum := sha256.Sum256([]byte(content))
	local := filepath.Join(t.TempDir(), "local.pkl")
	if err := os.WriteFile(local, []byte("local"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	task(spec).Artifacts = []*api.TaskArtifact{
		{
			GetterSource: new(server.URL + "/model.pkl"), RelativeDest: new("local/models"),
			GetterOptions: map[string]string{"checksum": "sha256:" + hex.EncodeToString(sum[:])},
		},
		{GetterSource: new(local), RelativeDest: new("local/m.pkl"), GetterMode: new("file")},
	}
	task(spec).Templates = []*api.Template{
		{
			DestPath: new("secrets/x.env"), Envvars: new(true),
			EmbeddedTmpl: new("# comment\nFROM_TEMPLATE=\"{{ env \"NOMAD_JOB_ID\" }}-x\"\n"),
		},
		{DestPath: new("local/plain.txt"), EmbeddedTmpl: new("plain\n"), Perms: new("0600")},
		{DestPath: new("local/copy"), SourcePath: new("local/m.pkl")},
		{
			DestPath: new("local/go.txt"), LeftDelim: new("[["), RightDelim: new("]]"),
			EmbeddedTmpl: new(`{{x}} [[/* no word */ -]] [[if eq (env "NOMAD_JOB_ID") "m"]]it is [[env "NOMAD_DC" | printf "%q"]][[end]]`),
		},
	}
	h.run(spec)
	h.eventually("the template's variable is set", func() bool {
		return strings.Contains(strings.Join(h.logLines(spec.ID, "stdout"), "\n"), "\nFROM_TEMPLATE=m-x\n")
	})
	dir := filepath.Join(h.dir, "alloc", spec.ID, "server")
	for path, want := range map[string]string{
		"local/models/model.pkl": content, "local/m.pkl": "local", "local/plain.txt": "plain\n",
		"local/copy": "local", "local/go.txt": `{{x}} it is "dc1"`,
	} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestArtifactOfAnotherChecksumIsNotStored(t *testing.T) {
	t.Parallel()
	local := filepath.Join(t.TempDir(), "local.pkl")
	if err := os.WriteFile(local, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	task(spec).Artifacts = []*api.TaskArtifact{{
		GetterSource: new(local), GetterOptions: map[string]string{"checksum": "sha256:" + strings.Repeat("0", 64)},
	}}
	h.run(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	if texts := strings.Join(eventTexts(u, "server"), "\n"); !strings.Contains(texts, "expected sha256:0000") {
		t.Errorf("events are\n%s\nwant the two checksums", texts)
	}
	if files, _ := filepath.Glob(filepath.Join(h.dir, "alloc", spec.ID, "server", "local", "*")); len(files) != 0 {
		t.Errorf("stored %v", files)
	}
}

func TestLogsRotateUnderTheirWriter(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "chatter")
	task(spec).LogConfig = &api.LogConfig{MaxFiles: new(2), MaxFileSizeMB: new(1)}
	h.run(spec)
	var files []string
	h.eventually("the log has been rotated", func() bool {
		files, _ = h.LogFiles(spec.ID, "server", "stdout")
		return len(files) == 2 && sizeOf(t, files[1]) == 0
	})
	if err := h.Signal(spec.ID, "server", "SIGUSR1"); err != nil {
		t.Fatal(err)
	}
	h.eventually("the new file is written", func() bool {
		return slices.Equal(h.logLines(spec.ID, "stdout"), []string{"one more"})
	})
	if size := sizeOf(t, files[0]); size != 1<<20 {
		t.Errorf("the old file holds %d bytes, want 1 MiB", size)
	}
	if newest := files[len(files)-1]; filepath.Base(newest) != "server.stdout.1" {
		t.Errorf("the newest log is %s", newest)
	}
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestPathsStayInTheTaskFolder(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	task(spec).Templates = []*api.Template{{DestPath: new("../../x"), EmbeddedTmpl: new("x")}}
	h.run(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	if texts := strings.Join(eventTexts(u, "server"), "\n"); !strings.Contains(texts, "leaves the task's folder") {
		t.Errorf("events are\n%s", texts)
	}
	spec = newAllocation(t, "print")
	spec.ID = "../x"
	if err := h.Run(spec); err == nil {
		t.Error("an ID that leaves the data folder is run")
	}
	if _, err := client.Leftovers(t.TempDir()); err != nil {
		t.Errorf("leftovers of an empty folder: %v", err)
	}
}

func TestStickyDiskIsTakenOver(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	first := newAllocation(t, "print")
	h.run(first)
	h.awaitStatus(first.ID, api.AllocClientStatusRunning)
	old := filepath.Join(h.dir, "alloc", first.ID)
	for _, path := range []string{"alloc/data/shared", "server/local/own", "server/tmp/lost"} {
		if err := os.WriteFile(filepath.Join(old, path), []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.Stop(first.ID)
	h.awaitStatus(first.ID, api.AllocClientStatusComplete)
	for _, sticky := range []bool{false, true} {
		next := newAllocation(t, "print")
		next.PreviousAllocation = first.ID
		group(next).EphemeralDisk = &api.EphemeralDisk{Sticky: new(sticky)}
		h.run(next)
		h.awaitStatus(next.ID, api.AllocClientStatusRunning)
		for path, moves := range map[string]bool{"alloc/data/shared": true, "server/local/own": true, "server/tmp/lost": false} {
			got, err := os.ReadFile(filepath.Join(h.dir, "alloc", next.ID, path))
			if found := err == nil && string(got) == path; found != (sticky && moves) {
				t.Errorf("sticky %v: %s is there: %v", sticky, path, found)
			}
		}
	}
}
