package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// engine speaks the part of the Docker Engine's HTTP API that running a task takes, over its unix socket.
type engine struct {
	socket string
	http   *http.Client
}

// callTimeout bounds what the engine does at once.
const callTimeout = 30 * time.Second

func newEngine() *engine {
	e := &engine{socket: "/var/run/docker.sock"}
	if path, found := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); found {
		e.socket = path
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", e.socket)
	}
	e.http = &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	return e
}

// errNoSuch is wrapped where the engine does not have a container or image.
var errNoSuch = errors.New("not found")

// stream sends a request and returns the body of a good answer. One of 404 is errNoSuch.
func (e *engine) stream(ctx context.Context, method, path string, query url.Values, in any) (io.ReadCloser, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return nil, fmt.Errorf("encode the request to the Docker engine: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path+"?"+query.Encode(), &body)
	if err != nil {
		return nil, fmt.Errorf("ask the Docker engine: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the Docker engine at %s (is it running?): %w", e.socket, errors.Unwrap(err))
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var told struct{ Message string }
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil {
		told.Message = resp.Status
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("the Docker engine answers: %s: %w", told.Message, errNoSuch)
	}
	return nil, fmt.Errorf("the Docker engine answers: %s", told.Message)
}

// call sends a request and decodes the answer into out, if there is one to decode into.
func (e *engine) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	body, err := e.stream(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("read the Docker engine's answer: %w", err)
	}
	return nil
}

// DockerVersion returns the version of the Docker engine that runs docker tasks, or why there is none.
func DockerVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var v struct{ Version string }
	err := newEngine().call(ctx, http.MethodGet, "/version", nil, nil, &v)
	return v.Version, err
}

func (e *engine) hasImage(ctx context.Context, image string) (bool, error) {
	err := e.call(ctx, http.MethodGet, "/images/"+url.PathEscape(image)+"/json", nil, nil, nil)
	if errors.Is(err, errNoSuch) {
		return false, nil
	}
	return err == nil, err
}

// pull gets an image. The engine tells of what goes wrong at the end of a good answer.
func (e *engine) pull(ctx context.Context, image string) error {
	if at := strings.LastIndexByte(image, ':'); at <= strings.LastIndexByte(image, '/') {
		image += ":latest"
	}
	body, err := e.stream(ctx, http.MethodPost, "/images/create", url.Values{"fromImage": {image}}, nil)
	if err != nil {
		return fmt.Errorf("pull image %q: %w", image, err)
	}
	defer body.Close()
	for decoder := json.NewDecoder(body); ; {
		var line struct{ Error string }
		switch err := decoder.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("pull image %q: %w", image, err)
		case line.Error != "":
			return fmt.Errorf("pull image %q: %s", image, line.Error)
		}
	}
}

// containerSpec is what a container is made from.
type containerSpec struct {
	Image        string
	Cmd          []string `json:",omitempty"`
	Entrypoint   []string `json:",omitempty"`
	User         string   `json:",omitempty"`
	Env          []string
	Labels       map[string]string
	ExposedPorts map[string]struct{}
	HostConfig   hostConfig
}

type hostConfig struct {
	Binds        []string
	PortBindings map[string][]portBinding
	NetworkMode  string `json:",omitempty"`
	Memory       int64
	MemorySwap   int64
	CPUShares    int `json:"CpuShares"`
}

type portBinding struct{ HostIP, HostPort string }

// containerState is how a container is.
type containerState struct {
	Status    string // created, running, exited, …
	Running   bool
	OOMKilled bool
	ExitCode  int
	Pid       int
}

func (e *engine) create(ctx context.Context, name string, spec containerSpec) error {
	return e.call(ctx, http.MethodPost, "/containers/create", url.Values{"name": {name}}, spec, nil)
}

func (e *engine) start(ctx context.Context, name string) error {
	return e.call(ctx, http.MethodPost, "/containers/"+name+"/start", nil, nil, nil)
}

func (e *engine) inspect(ctx context.Context, name string) (containerState, error) {
	var c struct{ State containerState }
	err := e.call(ctx, http.MethodGet, "/containers/"+name+"/json", nil, nil, &c)
	return c.State, err
}

// wait returns when the container has ended.
func (e *engine) wait(ctx context.Context, name string) error {
	var ended struct{ StatusCode int }
	return e.call(ctx, http.MethodPost, "/containers/"+name+"/wait", nil, nil, &ended)
}

func (e *engine) kill(ctx context.Context, name, signal string) error {
	return e.call(ctx, http.MethodPost, "/containers/"+name+"/kill", url.Values{"signal": {signal}}, nil, nil)
}

// remove removes a container with its anonymous volumes, running or not.
func (e *engine) remove(ctx context.Context, name string) error {
	err := e.call(ctx, http.MethodDelete, "/containers/"+name, url.Values{"force": {"1"}, "v": {"1"}}, nil, nil)
	if errors.Is(err, errNoSuch) {
		return nil
	}
	return err
}

// logs follows the output of a container after a time, to its end.
func (e *engine) logs(ctx context.Context, name, typ string, after time.Time) (io.ReadCloser, error) {
	query := url.Values{"follow": {"1"}, "timestamps": {"1"}, typ: {"1"}}
	if !after.IsZero() {
		next := after.Add(1)
		query.Set("since", fmt.Sprintf("%d.%09d", next.Unix(), next.Nanosecond()))
	}
	return e.stream(ctx, http.MethodGet, "/containers/"+name+"/logs", query, nil)
}
