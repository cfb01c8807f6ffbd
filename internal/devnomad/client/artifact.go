package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Bounds of one artifact. Files are as many as Nomad allows by default; its 100 GB would fill a machine for trying out.
const (
	artifactBytes   = 8 << 30
	artifactFiles   = 4096
	artifactTimeout = 30 * time.Minute
)

// artifact is an artifact block of a task on its way into the task's folder.
type artifact struct {
	spec    *api.TaskArtifact
	env     *taskEnv
	source  *url.URL
	options map[string]string // of the options block and the source's query: checksum and archive
	dest    string
	tmp     string // for an archive until it is unpacked
}

// fetchArtifact gets what an artifact block names from http, https, file:// or an absolute path, checks its checksum,
// and puts it into the task's folder, unpacked if it is an archive.
func fetchArtifact(ctx context.Context, spec *api.TaskArtifact, dir allocDir, task string, env *taskEnv) error {
	source := env.expand(or(spec.GetterSource, ""))
	target, err := url.Parse(source)
	if err != nil {
		return fmt.Errorf("fetch artifact: read source: %w", err)
	}
	a := artifact{spec: spec, env: env, source: target, options: map[string]string{}, tmp: filepath.Join(dir.task(task), "tmp")}
	if a.dest, err = dir.inTask(task, firstOf(env.expand(or(spec.RelativeDest, "")), "local/")); err == nil {
		err = a.fetch(ctx)
	}
	if err != nil {
		return fmt.Errorf("fetch artifact %q: %w", source, err)
	}
	return nil
}

func (a *artifact) fetch(ctx context.Context) error {
	if err := a.readOptions(); err != nil {
		return err
	}
	sum, err := parseChecksum(a.options["checksum"])
	if err != nil {
		return err
	}
	name, format, err := a.target()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, artifactTimeout)
	defer cancel()
	body, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	if format == "" {
		return save(body, name, sum)
	}
	packed := filepath.Join(a.tmp, path.Base(name))
	if err := save(body, packed, sum); err != nil {
		return err
	}
	defer os.Remove(packed)
	return unpack(packed, a.dest, format, unpackLimits{bytes: artifactBytes, files: artifactFiles})
}

// readOptions takes the options out of the source's query and the options block, which wins.
func (a *artifact) readOptions() error {
	query := a.source.Query()
	for _, key := range []string{"checksum", "archive"} {
		if query.Has(key) {
			a.options[key] = query.Get(key)
			query.Del(key)
		}
	}
	a.source.RawQuery = query.Encode()
	for key, value := range a.spec.GetterOptions {
		if key != "checksum" && key != "archive" {
			return fmt.Errorf("option %q is %w, which has checksum and archive", key, errUnsupported)
		}
		a.options[key] = a.env.expand(value)
	}
	return nil
}

// target returns the file to write and the format to unpack it by, "" to leave it as it is: in the destination folder
// under the source's name, or with mode "file" the destination itself.
func (a *artifact) target() (name, format string, err error) {
	if format, err = archiveFormat(a.source.Path, a.options["archive"]); err != nil {
		return "", "", err
	}
	switch mode := firstOf(or(a.spec.GetterMode, ""), "any"); {
	case mode == "file" && format == "":
		return a.dest, "", nil
	case mode == "file":
		return "", "", fmt.Errorf("unpacking to one file is %w; set options { archive = \"false\" } to keep the archive, "+
			"or mode = \"any\" to unpack it into a folder", errUnsupported)
	case mode == "any", mode == "dir" && format != "":
		return filepath.Join(a.dest, path.Base(a.source.Path)), format, nil
	case mode == "dir":
		return "", "", fmt.Errorf("a folder that is no archive is %w; use a .tar.gz or .zip", errUnsupported)
	default:
		return "", "", fmt.Errorf("mode %q is %w, which has \"any\", \"file\" and \"dir\"", mode, errUnsupported)
	}
}

func (a *artifact) open(ctx context.Context) (io.ReadCloser, error) {
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

// save writes body to dest as a whole or, when the checksum is another, not at all.
func save(body io.Reader, dest string, sum checksum) error {
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(dest), ".artifact-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	hash := sum.hash()
	n, err := io.Copy(io.MultiWriter(tmp, hash), io.LimitReader(body, artifactBytes+1))
	if err := errors.Join(err, tmp.Chmod(0o755), tmp.Close()); err != nil {
		return err
	}
	if n > artifactBytes {
		return fmt.Errorf("it is larger than the limit of %d bytes", int64(artifactBytes))
	}
	if err := sum.check(hash); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), dest)
}

// formats are the archives that are unpacked, by how their name ends.
var formats = []struct{ suffix, format string }{
	{".tar.gz", "tar.gz"},
	{".tgz", "tar.gz"},
	{".tar.bz2", "tar.bz2"},
	{".tbz2", "tar.bz2"},
	{".tar", "tar"},
	{".zip", "zip"},
	{".tar.xz", ""},
	{".txz", ""},
	{".tar.zst", ""},
	{".tzst", ""},
	{".gz", ""},
	{".bz2", ""},
	{".xz", ""},
	{".zst", ""},
}

// archiveFormat tells from the archive option, else from the name, how to unpack; "" for a plain file.
func archiveFormat(name, option string) (string, error) {
	if option == "false" || option == "0" {
		return "", nil
	}
	if option != "" {
		name = "." + option
	}
	for _, f := range formats {
		switch {
		case !strings.HasSuffix(name, f.suffix):
		case f.format == "":
			return "", fmt.Errorf("unpacking %s is %w, which has tar, tar.gz, tar.bz2 and zip; set options "+
				"{ archive = \"false\" } to keep it as it is", f.suffix, errUnsupported)
		default:
			return f.format, nil
		}
	}
	if option != "" {
		return "", fmt.Errorf("archive %q is %w, which has tar, tar.gz, tar.bz2 and zip", option, errUnsupported)
	}
	return "", nil
}
