package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// registry serves one image of one layer, weir/task:1, as a registry of Docker's API version 2, and counts the pulls.
func registry(t *testing.T, layer []byte) (addr string, pulls *atomic.Int32) {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(layer) // into memory
	_ = w.Close()
	digest := func(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	config := encode(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	const manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	part := func(kind string, data []byte) map[string]any {
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": len(data), "digest": digest(data)}
	}
	manifest := encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": part("container.image.v1+json", config),
		"layers": []any{part("image.rootfs.diff.tar.gzip", packed.Bytes())},
	})
	pulls = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		blobs := map[string][]byte{digest(config): config, digest(packed.Bytes()): packed.Bytes()}
		switch blob := blobs[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]; {
		case r.URL.Path == "/v2/":
		case strings.HasPrefix(r.URL.Path, "/v2/weir/task/manifests/"):
			pulls.Add(1)
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", digest(manifest))
			_, _ = w.Write(manifest)
		case blob != nil:
			_, _ = w.Write(blob)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors": [{"code": "NAME_UNKNOWN", "message": "it is not here"}]}`))
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), pulls
}

func TestMissingImageIsPulledWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	wantEngine(t)
	addr, pulls := registry(t, taskFiles(t))
	image := addr + "/weir/task:1"
	t.Cleanup(func() { _ = client.RemoveImage(context.WithoutCancel(t.Context()), image) })
	h := newHarnessAt(t, t.TempDir(), "", func(cfg *client.Config) { cfg.DockerPull = true })
	run := func(image string) client.Update {
		spec := newContainer(t, image, "nothing")
		spec.Job.Type = new("batch")
		h.run(spec)
		return h.await(spec.ID, "ended", func(u client.Update) bool {
			return u.ClientStatus == api.AllocClientStatusComplete || u.ClientStatus == api.AllocClientStatusFailed
		})
	}
	for range 2 {
		if u := run(image); u.ClientStatus != api.AllocClientStatusComplete {
			t.Fatalf("ended: %s", describe(u))
		}
	}
	asked := pulls.Load()
	run(image)
	if asked == 0 || pulls.Load() != asked {
		t.Errorf("the registry was asked %d times, then %d: want once for all", asked, pulls.Load())
	}
	u := run(addr + "/weir/other:1")
	failed := func(text string) bool {
		return strings.HasPrefix(text, "Driver Failure: pull image ") && strings.Contains(text, "not here")
	}
	if !slices.ContainsFunc(eventTexts(u, "server"), failed) {
		t.Errorf("an image that the registry has not: %s", describe(u))
	}
}
