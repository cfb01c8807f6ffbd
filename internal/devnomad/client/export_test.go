package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Differing compares with Consul and returns how many services are not there as they should be.
func (c *Client) Differing(ctx context.Context) int {
	c.consul.applying.Lock() // what is found stays to be seen
	defer c.consul.applying.Unlock()
	c.consul.compare(ctx)
	c.consul.mu.Lock()
	defer c.consul.mu.Unlock()
	return len(c.consul.dirty)
}

// CompareWithConsul compares with Consul now, as every few seconds.
func (c *Client) CompareWithConsul(ctx context.Context) {
	c.consul.compare(ctx)
	c.consul.flush(ctx)
}

// Unpack unpacks an archive within the given limits.
func Unpack(path, dest, format string, bytes int64, files int) error {
	return unpack(path, dest, format, unpackLimits{bytes: bytes, files: files})
}

// ImportImage makes an image of a tar of its files.
func ImportImage(ctx context.Context, name string, files []byte) error {
	query := url.Values{"fromSrc": {"-"}, "repo": {name}, "tag": {"test"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/images/create?"+query.Encode(),
		bytes.NewReader(files))
	if err != nil {
		return err
	}
	resp, err := newEngine().http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if told, err := io.ReadAll(resp.Body); err != nil || strings.Contains(string(told), `"error"`) {
		return fmt.Errorf("%s: %w", told, err)
	}
	return nil
}

// RemoveImage removes an image.
func RemoveImage(ctx context.Context, name string) error {
	return newEngine().call(ctx, http.MethodDelete, "/images/"+name, nil, nil, nil)
}

// RemoveContainer removes a container, running or not; one that is not there is no error.
func RemoveContainer(ctx context.Context, name string) error { return newEngine().remove(ctx, name) }

// HasContainer reports whether there is a container of a name.
func HasContainer(ctx context.Context, name string) bool {
	_, err := newEngine().inspect(ctx, name)
	return err == nil
}
