package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weirhq/weir/internal/parts"
)

// server is one that answers predictions over HTTP.
type server struct {
	name   string
	family string // the environment it needs, "" for none
	path   string // of predictions
	health string
	body   func(row []float64) any
	answer string // what an answer has in front of the label
	child  func(port string) parts.Child
	url    string
	run    *parts.Running
	rounds []load1
}

// The bare handlers, by how they read a body.
const (
	bareJSON = "bare gin handler (ShouldBindJSON)"
	bareWire = "bare gin handler (Weir's scanner)"
)

// plainBody is {"x":[…]}.
func plainBody(row []float64) any { return map[string]any{"x": row} }

// v2Body is an inference request of the Open Inference Protocol.
func v2Body(row []float64) any {
	return map[string]any{"inputs": []any{map[string]any{
		"name": "x", "shape": []int{1, len(row)}, "datatype": "FP64", "data": row,
	}}}
}

// rowsBody is {"x":[[…]]}.
func rowsBody(row []float64) any { return map[string]any{"x": [][]float64{row}} }

// servers lists who serves a model, each on the best settings that its documentation has.
func (p *plan) servers(model string) []*server {
	self, _ := os.Executable() // it is what runs
	bare := func(name, reader string) *server {
		return &server{
			name: name, path: "/predict", health: "/health", body: plainBody, answer: `"prediction":[`,
			child: func(port string) parts.Child {
				return parts.Child{Path: self, Args: []string{"bare", "127.0.0.1:" + port, reader}}
			},
		}
	}
	list := []*server{
		bare(bareJSON, "json"),
		bare(bareWire, "wire"),
		{
			name: "Weir", path: "/predict", health: "/health", body: plainBody, answer: `"prediction":[`,
			child: func(port string) parts.Child {
				return parts.Child{Path: p.inference, Args: []string{
					"--model-path", p.models(model), "--model-version", "v1.0.0", "--listen-addr", "127.0.0.1:" + port,
				}}
			},
		},
	}
	for _, workers := range []string{"1", "2"} {
		list = append(list, p.fastapi(model, workers))
	}
	return append(list,
		p.mlserver(model, "MLServer, in one process", 0, 0),
		p.mlserver(model, "MLServer, 2 workers", 2, 0),
		p.mlserver(model, "MLServer, adaptive batching", 0, 32),
		p.bentoml(model, "1"), p.bentoml(model, "2"))
}

func (p *plan) fastapi(model, workers string) *server {
	return &server{
		name: "FastAPI, uvicorn, workers " + workers, family: "fastapi", path: "/predict", health: "/health",
		body: plainBody, answer: `"prediction":[`,
		child: func(port string) parts.Child {
			return parts.Child{
				Path: p.program("fastapi", "uvicorn"), Dir: p.script(""), Env: []string{"MODEL_PATH=" + p.models(model)},
				Args: []string{
					"fastapi_app:app", "--host", "127.0.0.1", "--port", port, "--workers", workers, "--loop", "uvloop",
					"--http", "httptools", "--no-access-log", "--log-level", "warning",
				},
			}
		},
	}
}

func (p *plan) mlserver(model, name string, workers, batch int) *server {
	return &server{
		name: name, family: "mlserver", path: "/v2/models/m/infer", health: "/v2/models/m/ready", body: v2Body,
		answer: `"data":[`,
		child: func(port string) parts.Child {
			dir := filepath.Join(p.work, "mlserver-"+port)
			settings := map[string]any{
				"host": "127.0.0.1", "http_port": number(port), "grpc_port": freePort(), "metrics_port": freePort(),
				"parallel_workers": workers, "debug": false,
			}
			m := map[string]any{
				"name": "m", "implementation": "mlserver_sklearn.SKLearnModel",
				"parameters": map[string]any{"uri": p.models(model)},
			}
			if batch > 0 {
				m["max_batch_size"], m["max_batch_time"] = batch, 0.005
			}
			_ = os.MkdirAll(dir, 0o755) // the writes below tell
			writeJSON(filepath.Join(dir, "settings.json"), settings)
			writeJSON(filepath.Join(dir, "model-settings.json"), m)
			return parts.Child{
				Path: p.program("mlserver", "mlserver"), Args: []string{"start", dir}, Dir: dir,
				Env: []string{"PATH=" + filepath.Dir(p.python("mlserver")) + ":" + os.Getenv("PATH")},
			}
		},
	}
}

func (p *plan) bentoml(model, workers string) *server {
	return &server{
		name: "BentoML, workers " + workers, family: "bentoml", path: "/predict", health: "/readyz", body: rowsBody,
		answer: "[",
		child: func(port string) parts.Child {
			return parts.Child{
				Path: p.program("bentoml", "bentoml"), Dir: p.script(""),
				Args: []string{"serve", "bento_service:Predictor", "--host", "127.0.0.1", "--port", port},
				Env: []string{
					"MODEL_PATH=" + p.models(model), "BENTO_WORKERS=" + workers, "BENTOML_HOME=" + filepath.Join(p.work, "bentoml"),
					"BENTOML_DO_NOT_TRACK=True", "PATH=" + filepath.Dir(p.python("bentoml")) + ":" + os.Getenv("PATH"),
				},
			}
		},
	}
}

func number(port string) int {
	n, _ := strconv.Atoi(port) // it was made from a number
	return n
}

// freePort is a port that nobody uses, or 0 if there is none: the server then says so.
func freePort() int {
	port, _ := parts.FreePort()
	return port
}

// writeJSON writes a settings file. If it can't, the server that misses the file says so.
func writeJSON(path string, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		_ = os.WriteFile(path, b, 0o600)
	}
}

// startLimit is how long a server may take to load its model.
const startLimit = 2 * time.Minute

// start starts the server and waits until it is healthy.
func (s *server) start(ctx context.Context, p *plan) error {
	port := strconv.Itoa(freePort())
	s.url = "http://" + net.JoinHostPort("127.0.0.1", port)
	log, err := os.Create(filepath.Join(p.work, "server-"+port+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	child := s.child(port)
	child.Name, child.Log, child.Tied = s.name, log, true
	if s.run, err = parts.Start(child); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ; { // it sends no event
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not healthy within %s: %s", s.name, startLimit, lastLine(log.Name()))
		case <-s.run.Done():
			return fmt.Errorf("%s ended: %s", s.name, lastLine(log.Name()))
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+s.health, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close() // its status is what counts
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
}
