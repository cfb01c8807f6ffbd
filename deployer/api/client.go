package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/board"
)

// Client calls the API of a daemon.
type Client struct {
	url, token string
	http       *http.Client
}

// NewClient returns a client of the daemon at a URL, like https://weir.example.com:8088. The token may be empty.
func NewClient(url, token string) *Client {
	return &Client{url: strings.TrimSuffix(url, "/"), token: token, http: &http.Client{}}
}

// Error is what the daemon refused, and why.
type Error struct{ Problem }

func (e *Error) Error() string { return e.Detail }

// Act leaves an act with the daemon. Where the answer gets lost it is sent again, and done once.
func (c *Client) Act(ctx context.Context, model string, a Act) (Accepted, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return Accepted{}, fmt.Errorf("write the act: %w", err)
	}
	key := rand.Text()
	var got Accepted
	for try := 1; ; try++ {
		err := c.act(ctx, model, body, key, &got)
		var refused *Error
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil || try == actTries {
			return got, err
		}
		time.Sleep(actPause)
	}
}

// What a lost answer gets.
const (
	actTries = 3
	actPause = 500 * time.Millisecond
)

func (c *Client) act(ctx context.Context, model string, body []byte, key string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	res, err := c.do(ctx, http.MethodPost, "/models/"+model+"/acts", bytes.NewReader(body), HeaderKey, key)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// Page reads the page of a model.
func (c *Client) Page(ctx context.Context, model string) (board.Page, error) {
	var p board.Page
	res, err := c.do(ctx, http.MethodGet, "/models/"+model, nil, "", "")
	if err != nil {
		return p, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		return p, fmt.Errorf("read the daemon's answer: %w", err)
	}
	return p, nil
}

// do sends a request. An answer that is no success is an error.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader, header, value string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+Prefix+path, body)
	if err != nil {
		return nil, fmt.Errorf("call the daemon: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if value != "" {
		req.Header.Set(header, value)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call the daemon: %w", err)
	}
	if res.StatusCode < http.StatusMultipleChoices {
		return res, nil
	}
	defer res.Body.Close()
	var refused Error
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&refused.Problem); err != nil || refused.Detail == "" {
		refused.Status = res.StatusCode
		refused.Detail = fmt.Sprintf("call the daemon: %s%s answers %s: is it a daemon of Weir?", c.url, path, res.Status)
	}
	return nil, &refused
}

// Follow tells of every change of a model's page until told returns false or the context ends. A broken stream is
// resumed.
func (c *Client) Follow(ctx context.Context, model string, told func(board.Page) bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	last := ""
	for {
		res, err := c.do(ctx, http.MethodGet, "/models/"+model+"/events", nil, "Last-Event-ID", last)
		var refused *Error
		switch {
		case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
			return err
		case err == nil:
			more := followStream(res.Body, &last, told)
			res.Body.Close()
			if !more {
				return nil
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		time.Sleep(actPause)
	}
}

// followStream reads one stream to its end; false where nothing more is wanted.
func followStream(stream io.Reader, last *string, told func(board.Page) bool) bool {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	var kind string
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
		case "id":
			*last = value
		case "event":
			kind = value
		case "data":
			var p board.Page
			if kind == "page" && json.Unmarshal([]byte(value), &p) == nil && !told(p) {
				return false
			}
		}
	}
	return true
}

// maxEvent bounds one event, in bytes.
const maxEvent = 16 << 20
