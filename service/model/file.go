package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// ErrDigest means that a file is not the one that was meant.
var ErrDigest = errors.New("the file's digest is not the expected one")

const (
	maxFile   = 2 << 30  // the largest model file that is read
	largeFile = 16 << 20 // from here on memory is given back after the load
	hashChunk = 1 << 20
)

// LoadFile reads the model in a file. If digest is not empty ("sha256:" and 64 hex digits, the prefix may be left out),
// the file must have that SHA-256. It returns the file's digest with the prefix.
func LoadFile(path, digest string) (*Model, string, error) {
	data, sum, err := readFile(path)
	if err != nil {
		return nil, "", err
	}
	m, err := Load(data)
	got := "sha256:" + hex.EncodeToString(<-sum)
	if want := "sha256:" + strings.ToLower(strings.TrimPrefix(digest, "sha256:")); digest != "" && got != want {
		return nil, got, fmt.Errorf("check model %s: %w: want %s, but it has %s", path, ErrDigest, want, got)
	}
	if err != nil {
		return nil, got, fmt.Errorf("load model %s: %w", path, err)
	}
	if len(data) >= largeFile {
		data = nil //nolint:ineffassign,wastedassign // so that nothing holds it any more
		debug.FreeOSMemory()
	}
	return m, got, nil
}

// readFile returns a file's content, and its SHA-256, which is computed meanwhile.
func readFile(path string) ([]byte, <-chan []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read model: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("read model: %w", err)
	}
	if !info.Mode().IsRegular() {
		return readPipe(f, path)
	}
	if info.Size() > maxFile {
		return nil, nil, fmt.Errorf("read model %s: it has %d bytes: want at most %d", path, info.Size(), maxFile)
	}
	data, chunks, sum := make([]byte, info.Size()), make(chan []byte, maxFile/hashChunk+1), make(chan []byte, 1)
	if len(data) >= largeFile {
		hugePages(data)
	}
	go hash(chunks, sum)
	defer close(chunks)
	for from := 0; from < len(data); from += hashChunk {
		chunk := data[from:min(from+hashChunk, len(data))]
		if _, err := io.ReadFull(f, chunk); err != nil {
			return nil, nil, fmt.Errorf("read model %s: %w", path, err)
		}
		chunks <- chunk
	}
	return data, sum, nil
}

// readPipe reads what has no size to its end.
func readPipe(f io.Reader, path string) ([]byte, <-chan []byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read model %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, nil, fmt.Errorf("read model %s: it has more than %d bytes", path, maxFile)
	}
	all, sum := sha256.Sum256(data), make(chan []byte, 1)
	sum <- all[:]
	return data, sum, nil
}

func hash(chunks <-chan []byte, sum chan<- []byte) {
	h := sha256.New()
	for chunk := range chunks {
		_, _ = h.Write(chunk)
	}
	sum <- h.Sum(nil)
}
