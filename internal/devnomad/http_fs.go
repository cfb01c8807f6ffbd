package devnomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// fsRoutes are the paths that show the folders of allocations. As in Nomad, those that answer with a file answer errors
// with status 200.
func (a *Agent) fsRoutes() map[string]methods {
	get := http.MethodGet
	return map[string]methods{
		"/v1/client/fs/ls/{id}":     {get: plain(a.listFolder)},
		"/v1/client/fs/stat/{id}":   {get: plain(a.statFile)},
		"/v1/client/fs/cat/{id}":    {get: a.file(wholeFile)},
		"/v1/client/fs/readat/{id}": {get: a.file(partOfFile)},
		"/v1/client/fs/stream/{id}": {get: a.file(frameOfFile)},
	}
}

var errEscapes = errors.New("Path escapes the alloc directory") //nolint:revive,staticcheck // Nomad's words

// inAlloc resolves the path that a request names inside its allocation's folder, links included. Secrets stay secret.
func (a *Agent) inAlloc(r *http.Request) (string, error) {
	alloc, err := a.known(r.PathValue("id"))
	if err != nil {
		return "", err
	}
	root, err := a.client.Folder(alloc.ID)
	if err != nil {
		return "", notFound(fmt.Sprintf("state for allocation %s not found on client", alloc.ID))
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return "", err
	}
	name := strings.TrimLeft(r.URL.Query().Get("path"), "/")
	if name == "" {
		return root, nil
	}
	if !filepath.IsLocal(name) {
		return "", errEscapes
	}
	path := filepath.Join(root, name)
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path, nil //nolint:nilerr // whoever opens it tells that it is not there
	}
	rel, err := filepath.Rel(root, target)
	switch {
	case err != nil || !filepath.IsLocal(rel):
		return "", errEscapes
	case strings.Contains(rel, "/secrets/"):
		return "", errors.New("Reading secret file prohibited: " + name) //nolint:revive,staticcheck // Nomad's words
	}
	return path, nil
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(err.Error())
	}
	return err
}

func (a *Agent) listFolder(r *http.Request) (any, error) {
	path, err := a.inAlloc(r)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, missing(err)
	}
	out := []map[string]any{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it has just gone
			out = append(out, fileInfo(info))
		}
	}
	return out, nil
}

func fileInfo(info os.FileInfo) map[string]any {
	return map[string]any{
		"Name": info.Name(), "IsDir": info.IsDir(), "Size": info.Size(), "FileMode": info.Mode().String(),
		"ModTime": info.ModTime().UTC(),
	}
}

func (a *Agent) statFile(r *http.Request) (any, error) {
	if r.URL.Query().Get("path") == "" {
		return nil, badRequest("must provide a file name")
	}
	path, err := a.inAlloc(r)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, missing(err)
	}
	out := fileInfo(info)
	if !info.IsDir() {
		out["ContentType"] = contentType(path)
	}
	return out, nil
}

// contentType is told by the name, else by the first bytes.
func contentType(path string) string {
	if known := mime.TypeByExtension(filepath.Ext(path)); known != "" {
		return known
	}
	f, err := os.Open(path)
	if err != nil {
		return "application/octet-stream"
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	return http.DetectContentType(head[:n])
}

// file makes a handler that shows a file, or says in its body why not.
func (a *Agent) file(show func(w io.Writer, f *os.File, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := a.showFile(w, r, show); err != nil {
			_, _ = io.WriteString(w, err.Error())
		}
	}
}

func (a *Agent) showFile(w io.Writer, r *http.Request, show func(w io.Writer, f *os.File, r *http.Request) error) error {
	name := r.URL.Query().Get("path")
	if name == "" {
		return errors.New("must provide a file name")
	}
	path, err := a.inAlloc(r)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("file %q is a directory", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return show(w, f, r)
}

func wholeFile(w io.Writer, f *os.File, _ *http.Request) error {
	_, err := io.Copy(w, f)
	return err
}

func partOfFile(w io.Writer, f *os.File, r *http.Request) error {
	q := r.URL.Query()
	offset, err := strconv.ParseInt(q.Get("offset"), 10, 64)
	if err != nil {
		return fmt.Errorf("error parsing offset: %w", err)
	}
	limit := int64(1) << 40
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("error parsing limit: %w", err)
		}
	}
	_, err = io.Copy(w, io.NewSectionReader(f, offset, limit))
	return err
}

// frameOfFile sends what there is of a file from an offset on, in frames; it does not follow.
func frameOfFile(w io.Writer, f *os.File, r *http.Request) error {
	if follow := r.URL.Query().Get("follow"); follow != "false" {
		return errors.New("the embedded agent follows logs only: use follow=false, or /v1/client/fs/logs")
	}
	offset, _ := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if r.URL.Query().Get("origin") == "end" {
		if info, err := f.Stat(); err == nil {
			offset = max(info.Size()-offset, 0)
		}
	}
	buf := make([]byte, maxFrame)
	for {
		n, err := f.ReadAt(buf, offset)
		offset += int64(n)
		if n > 0 {
			frame := api.StreamFrame{Data: buf[:n], File: r.URL.Query().Get("path"), Offset: offset}
			if err := json.NewEncoder(w).Encode(frame); err != nil {
				return err
			}
		}
		if err != nil {
			return ignoreEOF(err)
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
