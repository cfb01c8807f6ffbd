package client_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"  //nolint:gosec // what a jobspec may ask for
	"crypto/sha1" //nolint:gosec // what a jobspec may ask for
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// packed is an entry for tarGz and zipped.
type packed struct {
	name, text string
	kind       byte // a tar type flag
	link       string
}

func tarGz(t *testing.T, entries ...packed) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o4755, Size: int64(len(e.text))}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t *testing.T, entries ...packed) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		text := e.text
		header.SetMode(0o644)
		if e.kind == tar.TypeSymlink {
			header.SetMode(os.ModeSymlink | 0o777)
			text = e.link
		}
		w, err := archive.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestArchivesAreUnpackedIntoTheTaskFolder(t *testing.T) {
	t.Parallel()
	entries := []packed{
		{name: "bin/tool", text: "run", kind: tar.TypeReg}, {name: "lib/latest", kind: tar.TypeSymlink, link: "../bin/tool"},
	}
	files := map[string][]byte{
		"/a.tar.gz": tarGz(t, append(entries, packed{name: "hard", kind: tar.TypeLink, link: "bin/tool"})...),
		"/b.zip":    zipped(t, entries...), "/plain": zipped(t, entries...),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" || r.Header.Get("X-Job") != "m" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write(files[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	headers := map[string]string{"X-Job": "${NOMAD_JOB_ID}"}
	add := func(source, dest, mode, checksum string) {
		task(spec).Artifacts = append(task(spec).Artifacts, &api.TaskArtifact{
			GetterSource: new(server.URL + source), RelativeDest: new(dest), GetterMode: new(mode), GetterHeaders: headers,
			GetterOptions: map[string]string{"checksum": checksum},
		})
	}
	add("/a.tar.gz", "local/a", "any", fmt.Sprintf("sha512:%x", sha512.Sum512(files["/a.tar.gz"])))
	add("/b.zip", "local/b", "dir", fmt.Sprintf("%x", sha1.Sum(files["/b.zip"])))             //nolint:gosec // see the import
	add("/plain?archive=zip", "local/c", "", fmt.Sprintf("md5:%x", md5.Sum(files["/plain"]))) //nolint:gosec // see the import
	add("/b.zip?archive=false", "local/d.zip", "file", fmt.Sprintf("sha256:%x", sha256.Sum256(files["/b.zip"])))
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	h.eventually("the task listens to signals", func() bool { return len(h.logLines(spec.ID, "stdout")) > 1 })
	if err := h.Restart(spec.ID, ""); err != nil { // which unpacks again
		t.Fatal(err)
	}
	h.await(spec.ID, "restarted", func(u client.Update) bool { return runs(u) && u.TaskStates["server"].Restarts == 1 })
	local := filepath.Join(h.dir, "alloc", spec.ID, "server", "local")
	for path, want := range map[string]string{
		"a/bin/tool": "run", "a/lib/latest": "run", "a/hard": "run", "b/bin/tool": "run", "b/lib/latest": "run",
		"c/bin/tool": "run", "d.zip": string(files["/b.zip"]),
	} {
		if got, err := os.ReadFile(filepath.Join(local, path)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(local, "a/bin/tool")); err != nil || info.Mode() != 0o755 {
		t.Errorf("the tool's mode is %v, %v, want 0755 without setuid", info.Mode(), err)
	}
	if rest, _ := filepath.Glob(filepath.Join(h.dir, "alloc", spec.ID, "server/tmp/*")); len(rest) != 0 {
		t.Errorf("left behind: %v", rest)
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	t.Parallel()
	file := func(name string) packed { return packed{name: name, text: "x", kind: tar.TypeReg} }
	link := func(name, to string) packed { return packed{name: name, kind: tar.TypeSymlink, link: to} }
	bomb := packed{name: "zeros", text: strings.Repeat("\x00", 1<<20), kind: tar.TypeReg}
	tests := map[string]struct {
		format  string
		archive []byte
		want    string
	}{
		"parent":          {"tar.gz", tarGz(t, file("../out/x")), `entry "../out/x" leaves the folder`},
		"hidden parent":   {"tar.gz", tarGz(t, file("a/../../out/x")), `entry "a/../../out/x" leaves the folder`},
		"absolute":        {"tar.gz", tarGz(t, file("/out/x")), `entry "/out/x" leaves the folder`},
		"parent in a zip": {"zip", zipped(t, file("../out/x")), `entry "../out/x" leaves the folder`},
		"link":            {"tar.gz", tarGz(t, link("l", "../out")), `link "l" leaves the folder`},
		"absolute link":   {"tar.gz", tarGz(t, link("l", "/etc/passwd")), `link "l" leaves the folder`},
		"link in a zip":   {"zip", zipped(t, link("l", "/etc/passwd")), `link "l" leaves the folder`},
		"through a link":  {"tar.gz", tarGz(t, link("l", "../out"), file("l/x")), `entry "l/x": `},
		"self link":       {"tar.gz", tarGz(t, link("r", "."), link("l", "r/../out")), `link "l" leaves the folder`},
		"over a link":     {"tar.gz", tarGz(t, link("l", "../out/kept"), file("l")), ""},
		"hard link":       {"tar.gz", tarGz(t, packed{name: "h", kind: tar.TypeLink, link: "../out/kept"}), `entry "h": `},
		"device":          {"tar.gz", tarGz(t, packed{name: "d", kind: tar.TypeChar}), `entry "d": it is no file`},
		"size bomb":       {"tar.gz", tarGz(t, bomb), "more bytes than the limit"},
		"zip bomb":        {"zip", zipped(t, bomb), "more bytes than the limit"},
		"many files":      {"zip", zipped(t, file("a"), file("b"), file("c"), file("d"), file("e"), file("f")), "more files"},
		"no archive":      {"zip", []byte("x"), "not a valid zip file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mkdir(t, dir+"/out")
			for path, data := range map[string][]byte{"/archive": tt.archive, "/out/kept": []byte("kept")} {
				if err := os.WriteFile(dir+path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := client.Unpack(dir+"/archive", dir+"/in", tt.format, 1<<19, 5)
			if err == nil { // again, as at a restart
				err = client.Unpack(dir+"/archive", dir+"/in", tt.format, 1<<19, 5)
			}
			if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("unpacking gives %q, want %q", got, tt.want)
			}
			if kept, err := os.ReadFile(dir + "/out/kept"); err != nil || string(kept) != "kept" {
				t.Errorf("a file outside holds %q, %v", kept, err)
			}
			if out, _ := os.ReadDir(dir + "/out"); len(out) != 1 {
				t.Errorf("outside are %v", out)
			}
			if _, err := os.Stat(dir + "/in/l"); err == nil && tt.want != "" {
				t.Error("the link is still there")
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("PK"), true)
	f.Add([]byte{0x1f, 0x8b}, false)
	f.Fuzz(func(t *testing.T, data []byte, isZip bool) {
		dir, format := t.TempDir(), "tar.gz"
		if isZip {
			format = "zip"
		}
		if err := os.WriteFile(dir+"/archive", data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = client.Unpack(dir+"/archive", dir+"/in", format, 1<<16, 10)
		if entries, _ := os.ReadDir(dir); len(entries) > 2 {
			t.Errorf("it has left its folder: %v", entries)
		}
	})
}
