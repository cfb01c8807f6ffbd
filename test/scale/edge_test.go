package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/applier"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// edgeFigures are what the measurement of an ingress found.
type edgeFigures struct {
	Models, PerModel   int
	Start              time.Duration // from nothing until nginx serves all models
	Staged             []time.Duration
	Shown              []time.Duration // from the write of a weight to Consul until the ingress shows it
	LastOld            []time.Duration // until the last answer of the release that was left
	Check              time.Duration   // nginx -t
	ConfigKiB, Watches int
	Workers, Memory    int // processes of nginx, and the KiB that they have together
	Lost, Requests     int
}

// edge is an ingress in front of many models.
type edge struct {
	t        *testing.T
	models   int
	perModel int
	consul   *consulapi.Client
	backend  *instances
	cfg      applier.Config
	epoch    uint64
}

func measureEdge(t *testing.T, models, switches int) edgeFigures {
	e := &edge{t: t, models: models, perModel: 4, backend: startInstances(t), epoch: 1}
	server, err := parts.StartConsul(t.Context(), parts.ConsulConfig{
		Tied: true, Args: []string{"-hcl=limits { http_max_conns_per_client = 12000 }"}, Options: parts.Options{Progress: t.Output()},
	})
	e.must(err)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop Consul: %v", err)
		}
	})
	e.consul, err = server.Client()
	e.must(err)
	e.fill()
	fig := edgeFigures{Models: models, PerModel: e.perModel}
	began := time.Now()
	e.start(server.Addr)
	e.await(limit, "all models to be served", func() bool { return len(e.published().Epoch) == models && e.answer() })
	fig.Start = time.Since(began)
	for i := range switches {
		e.turn(&fig, i)
	}
	e.measure(&fig)
	t.Logf("%+v", fig)
	return fig
}

func (e *edge) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func name(i int) string { return fmt.Sprintf("model-%04d", i) }

// fill registers the instances of all models, half of them of each release, and their stable keys.
func (e *edge) fill() {
	_, err := e.consul.Catalog().Register(&consulapi.CatalogRegistration{Node: consulNode, Address: "127.0.0.1"}, nil)
	e.must(err)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range e.models {
		group.Go(func() error {
			for k := range e.perModel {
				release := oldRelease
				if k%2 == 1 {
					release = newRelease
				}
				in := instance{alloc: fmt.Sprintf("%04d-%d", i, k), release: release, serviceID: fmt.Sprintf("%s-%d", name(i), k)}
				_, err := e.consul.Catalog().Register(&consulapi.CatalogRegistration{
					Node: consulNode, Address: "127.0.0.1", SkipNodeUpdate: true, Check: in.check(name(i), consulapi.HealthPassing),
					Service: &consulapi.AgentService{
						ID: in.serviceID, Service: name(i), Address: e.backend.addr(release, i*e.perModel+k), Port: e.backend.port,
						Tags: []string{traffic.ServiceTag}, Meta: map[string]string{traffic.MetaModel: name(i), traffic.MetaRelease: release},
					},
				}, nil)
				if err != nil {
					return err
				}
			}
			return e.put(traffic.StableKey(name(i)), traffic.Stable{Release: oldRelease, Epoch: 1})
		})
	}
	e.must(group.Wait())
}

func (e *edge) put(key string, doc any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = e.consul.KV().Put(&consulapi.KVPair{Key: key, Value: text}, nil)
	return err
}

func (e *edge) start(consulAddr string) {
	e.cfg = applier.Config{
		Node: "edge-1", StateDir: e.t.TempDir(), ConsulAddr: consulAddr, AccessLog: "off",
		Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(partstest.Port(e.t))),
		Logger: slog.New(slog.NewTextHandler(e.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Nginx:  partstest.Path(e.t, parts.Nginx), ConsulTemplate: partstest.Path(e.t, parts.ConsulTemplate),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- applier.Run(ctx, e.cfg) }()
	e.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			e.t.Errorf("the ingress: %v", err)
		}
		if e.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(e.cfg.StateDir, "consul-template", "consul-template.log"))
			e.t.Logf("%s", log[max(0, len(log)-2000):])
		}
	})
}

// answer says whether each model's requests are answered.
func (e *edge) answer() bool {
	for i := range e.models {
		res, err := http.Get("http://" + e.cfg.Listen + "/models/" + name(i) + "/predict")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return false
		}
	}
	return true
}

func (e *edge) published() (doc traffic.Ingress) {
	pair, _, err := e.consul.KV().Get(traffic.IngressKey(e.cfg.Node), nil)
	if err == nil && pair != nil {
		_ = json.Unmarshal(pair.Value, &doc) // an unread one has no epochs
	}
	return doc
}

func (e *edge) await(limit time.Duration, what string, ok func() bool) {
	e.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) { // the pace of looking
		if time.Since(began) > limit {
			e.t.Fatalf("waited %s for %s", limit, what)
		}
	}
}

// turn moves all requests of one model to the other release and back, under load.
func (e *edge) turn(fig *edgeFigures, i int) {
	model := name(i * 37 % e.models)
	stop, answers := make(chan struct{}), &answers{last: map[string]time.Time{}}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { answers.client("http://"+e.cfg.Listen+"/models/"+model+"/predict", stop) })
	}
	weight := 100
	for _, old := range []string{oldRelease, newRelease} {
		e.await(10*time.Second, "answers of "+old, func() bool { return time.Since(answers.at(old)) < 100*time.Millisecond })
		e.epoch++
		staged := filepath.Join(e.cfg.StateDir, "staged", "weights.json")
		before, began := written(staged), time.Now()
		e.must(e.put(traffic.CanaryKey(model), traffic.Canary{Release: newRelease, Weight: weight, Epoch: e.epoch}))
		e.await(20*time.Second, "the weights to be staged", func() bool { return !written(staged).Equal(before) })
		fig.Staged = append(fig.Staged, time.Since(began))
		want := traffic.ServedEpoch(1, &traffic.Canary{Epoch: e.epoch})
		e.await(20*time.Second, "the epoch", func() bool { return e.published().Epoch[model] == want })
		fig.Shown = append(fig.Shown, time.Since(began))
		e.await(20*time.Second, "the end of answers of "+old, func() bool { return time.Since(answers.at(old)) > 500*time.Millisecond })
		fig.LastOld = append(fig.LastOld, answers.at(old).Sub(began))
		weight = 0
	}
	close(stop)
	clients.Wait()
	fig.Requests += answers.sent
	fig.Lost += answers.lost
	if answers.lost > 0 {
		e.t.Logf("%s: %d of %d requests lost, first: %s", model, answers.lost, answers.sent, answers.first)
	}
}

// written is when a file was written; zero for one that is not there.
func written(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// answers is what clients saw.
type answers struct {
	mu         sync.Mutex
	last       map[string]time.Time // release → its last answer
	sent, lost int
	first      string // what went wrong first
}

func (a *answers) at(release string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[release]
}

// client sends about 25 requests a second on a kept connection.
func (a *answers) client(url string, stop <-chan struct{}) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		res, err := client.Get(url)
		release := ""
		if err == nil {
			release = res.Header.Get(traffic.HeaderRelease)
			_ = res.Body.Close()
		}
		a.mu.Lock()
		a.sent++
		if err != nil || res.StatusCode != http.StatusOK {
			a.lost++
			if a.first == "" && err != nil {
				a.first = err.Error()
			} else if a.first == "" {
				a.first = res.Status
			}
		}
		a.last[release] = time.Now()
		a.mu.Unlock()
	}
}

// measure looks at the configuration and at nginx's processes.
func (e *edge) measure(fig *edgeFigures) {
	conf := filepath.Join(e.cfg.StateDir, "nginx", "nginx.conf")
	info, err := os.Stat(conf)
	e.must(err)
	fig.ConfigKiB = int(info.Size() >> 10)
	began := time.Now()
	out, err := exec.Command(e.cfg.Nginx, "-t", "-q", "-p", filepath.Dir(conf), "-e", "stderr", "-c", conf).CombinedOutput()
	if err != nil {
		e.t.Errorf("nginx -t: %v: %s", err, out)
	}
	fig.Check = time.Since(began)
	fig.Watches = e.models + 2 // the instances of each model, the list of services, the keys
	master, err := os.ReadFile(filepath.Join(filepath.Dir(conf), "nginx.pid"))
	e.must(err)
	pid := strings.TrimSpace(string(master))
	children, err := exec.Command("pgrep", "-P", pid).Output()
	e.must(err)
	pids := append(strings.Fields(string(children)), pid)
	fig.Workers = len(pids) - 1
	for _, p := range pids {
		_, rss := used(p)
		fig.Memory += int(rss >> 10)
	}
	for _, d := range [][]time.Duration{fig.Staged, fig.Shown, fig.LastOld} {
		slices.Sort(d)
	}
}

// TestManyModels measures an ingress with as many models as SCALE_MODELS says; see `make scale`.
func TestManyModels(t *testing.T) {
	models := atLeast(t, "SCALE_MODELS", 0)
	if models == 0 {
		t.Skip("make scale runs it")
	}
	fig := measureEdge(t, models, atLeast(t, "SCALE_SWITCHES", 10))
	report(t, "models", fig.table())
	if fig.Lost > 0 {
		t.Errorf("%d of %d requests lost", fig.Lost, fig.Requests)
	}
}
