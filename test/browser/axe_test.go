package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// axe-core (MPL-2.0) is not part of this repository: the tests fetch it from npm once, into the cache of the parts.
const (
	axeVersion = "4.14.1"
	axeURL     = "https://registry.npmjs.org/axe-core/-/axe-core-" + axeVersion + ".tgz"
	axeSHA256  = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
)

var fetchAxe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "weir", "axe-core-"+axeVersion+".js")
	if b, err := os.ReadFile(path); err == nil {
		return string(b), nil
	}
	script, err := download()
	if err != nil {
		return "", fmt.Errorf("fetch axe-core: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	part := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(part, script, 0o600); err != nil {
		return "", err
	}
	return string(script), os.Rename(part, path)
})

func axe(t *testing.T) string {
	t.Helper()
	script, err := fetchAxe()
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// download takes the script out of the package, if that is the one that was meant.
func download() ([]byte, error) {
	res, err := http.Get(axeURL)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	packed, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != axeSHA256 {
		return nil, fmt.Errorf("%s, status %s: its SHA-256 is %x, want %s", axeURL, res.Status, sum, axeSHA256)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("there is no axe.min.js in the package")
		}
		if err != nil {
			return nil, err
		}
		if h.Name == "package/axe.min.js" {
			return io.ReadAll(files)
		}
	}
}
