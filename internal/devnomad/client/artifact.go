package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// archives are endings that Nomad unpacks, which the embedded agent does not.
var archives = []string{".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".zst", ".zip"}

// artifact is an artifact block of a task on its way into the task's folder.
type artifact struct {
	spec   *api.TaskArtifact
	dir    allocDir
	task   string
	env    *taskEnv
	source *url.URL
}

// fetchArtifact gets one file from http, https, file:// or an absolute path, and checks its SHA-256.
func fetchArtifact(ctx context.Context, spec *api.TaskArtifact, dir allocDir, task string, env *taskEnv) error {
	source := env.expand(or(spec.GetterSource, ""))
	target, err := url.Parse(source)
	if err != nil {
		return fmt.Errorf("fetch artifact: read source: %w", err)
	}
	a := artifact{spec: spec, dir: dir, task: task, env: env, source: target}
	if err := a.fetch(ctx); err != nil {
		return fmt.Errorf("fetch artifact %q: %w", source, err)
	}
	return nil
}

func (a artifact) fetch(ctx context.Context) error {
	sum, err := a.sum()
	if err != nil {
		return err
	}
	dest, err := a.dest()
	if err != nil {
		return err
	}
	body, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	return store(body, dest, sum)
}

// sum returns the checksum to expect, from the options or the source's query, which loses it; "" for none.
func (a artifact) sum() (string, error) {
	query := a.source.Query()
	sum := query.Get("checksum")
	query.Del("checksum")
	a.source.RawQuery = query.Encode()
	for key, value := range a.spec.GetterOptions {
		switch {
		case key == "checksum":
			sum = a.env.expand(value)
		case key == "archive" && value == "false":
		default:
			return "", fmt.Errorf("option %q is %w, which has checksum", key, errUnsupported)
		}
	}
	if sum == "" {
		return "", nil
	}
	digits, found := strings.CutPrefix(sum, "sha256:")
	if raw, err := hex.DecodeString(digits); !found || err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("checksum %q is %w, which wants sha256: and 64 hex digits", sum, errUnsupported)
	}
	return strings.ToLower(digits), nil
}

// dest returns the file to write: in the destination folder under the source's name, or with mode "file" the
// destination itself.
func (a artifact) dest() (string, error) {
	dest, err := a.dir.inTask(a.task, firstOf(a.env.expand(or(a.spec.RelativeDest, "")), "local/"))
	if err != nil {
		return "", err
	}
	switch mode := firstOf(or(a.spec.GetterMode, ""), "any"); mode {
	case "file":
		return dest, nil
	case "any":
		if slices.Contains(archives, path.Ext(a.source.Path)) && a.spec.GetterOptions["archive"] != "false" {
			return "", fmt.Errorf("unpacking is %w; set mode = \"file\" or options { archive = \"false\" }", errUnsupported)
		}
		return filepath.Join(dest, path.Base(a.source.Path)), nil
	default:
		return "", fmt.Errorf("mode %q is %w, which has \"any\" and \"file\"", mode, errUnsupported)
	}
}

func (a artifact) open(ctx context.Context) (io.ReadCloser, error) {
	switch a.source.Scheme {
	case "", "file":
		if !filepath.IsAbs(a.source.Path) {
			return nil, errors.New("a local source must be an absolute path")
		}
		return os.Open(a.source.Path)
	case "http", "https":
	default:
		return nil, fmt.Errorf("scheme %q is %w, which has http, https and file", a.source.Scheme, errUnsupported)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.source.String(), nil)
	if err != nil {
		return nil, err
	}
	for key, value := range a.spec.GetterHeaders {
		req.Header.Set(key, a.env.expand(value))
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the server answers %s", resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

// store writes body to dest as a whole or, when the checksum is another, not at all.
func store(body io.Reader, dest, sum string) error {
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(dest), ".artifact-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, hash), body)
	if err := errors.Join(err, tmp.Chmod(0o755), tmp.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); sum != "" && got != sum {
		return fmt.Errorf("checksum is sha256:%s, expected sha256:%s", got, sum)
	}
	return os.Rename(tmp.Name(), dest)
}
