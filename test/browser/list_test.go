package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	capi "github.com/hashicorp/consul/api"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/serve"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// daemon serves a dashboard at an address until it is stopped.
func daemon(t *testing.T, consulAddr, listen, tokens string) (url string, stop func()) {
	t.Helper()
	cfg := serve.Config{Listen: listen, Tokens: tokens, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	var err error
	if cfg.Consul, err = consul.New(consulAddr); err != nil {
		t.Fatal(err)
	}
	if cfg.Nomad, err = nomad.New("http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- serve.Run(ctx, cfg, func(url string) { ready <- url }) }()
	select {
	case url = <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Errorf("end the daemon: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return url, stop
}

// fill stores so many models.
func fill(t *testing.T, consulAddr string, models int) {
	t.Helper()
	raw, err := capi.NewClient(&capi.Config{Address: consulAddr})
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(traffic.Stable{Release: "v1.0.0-aaaaaaaa", Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	var ops capi.TxnOps
	for i := range models {
		key := traffic.StableKey(fmt.Sprintf("model-%04d", i))
		ops = append(ops, &capi.TxnOp{KV: &capi.KVTxnOp{Verb: capi.KVSet, Key: key, Value: value}})
		if len(ops) < 64 && i+1 < models {
			continue
		}
		if ok, res, _, err := raw.Txn().Txn(ops, nil); err != nil || !ok {
			t.Fatal(err, res)
		}
		ops = nil
	}
}

// TestThousand has a thousand models in the list: filtered, paged, by keyboard, on a phone.
func TestThousand(t *testing.T) {
	server := partstest.Consul(t)
	fill(t, server.Addr, 1000)
	url, _ := daemon(t, server.Addr, "127.0.0.1:0", "")
	b := open(t)
	b.visit(url)
	b.shows("main", "1000 models")
	rows := `document.querySelectorAll("tbody tr").length`
	b.until("a page of rows", rows+` === 100`)
	b.click("#next")
	b.shows("tbody", "model-0100")
	b.click("#filter")
	b.keys("0427")
	b.until("one row", rows+` === 1`)
	b.shows("tbody", "model-0427")
	b.clean("the filtered list")
	b.shot("thousand")
	b.keys(kb.Tab, kb.Tab, kb.Enter)
	b.shows("h1", "model-0427")
	b.shows("#state", "v1.0.0-aaaaaaaa serves")
	b.run(chromedp.NavigateBack())
	b.shows("main", "1000 models")
	b.size(360, 740)
	b.fits()
}

// TestLogin logs a viewer in and out.
func TestLogin(t *testing.T) {
	secret, line, err := access.NewToken(access.Principal{Name: "ann", Role: access.Viewer, Models: []string{"model-0001"}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokens.json")
	if err := os.WriteFile(file, []byte(`{"tokens":[`+line+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	server := partstest.Consul(t)
	fill(t, server.Addr, 3)
	url, _ := daemon(t, server.Addr, "127.0.0.1:0", file)
	b := open(t)
	b.visit(url)
	b.shows("label", "Token")
	b.clean("the login")
	b.expect("401")
	b.keys("wrong", kb.Enter)
	b.shows("[role=alert]", "not known")
	b.keys(secret, kb.Enter)
	b.shows("#who", "ann, viewer")
	b.shows("main", "1 model")
	b.shows("tbody", "model-0001")
	b.click("#logout button")
	b.shows("label", "Token")
}

// TestStale cuts the page off and lets it come back.
func TestStale(t *testing.T) {
	server := partstest.Consul(t)
	fill(t, server.Addr, 1)
	url, stop := daemon(t, server.Addr, "127.0.0.1:0", "")
	b := open(t)
	b.visit(url + "/models/model-0000")
	b.shows("#fresh", "live")
	b.shows("#state", "v1.0.0-aaaaaaaa serves")
	b.expect("ERR_") // of the connections that can't be made
	stop()
	b.shows("#stale", "The daemon does not answer")
	b.until("what is stale to be grey", `getComputedStyle(document.querySelector("main")).filter.includes("grayscale")`)
	b.shot("stale")
	b.clean("a stale page")
	again, _ := daemon(t, server.Addr, url[len("http://"):], "")
	if again != url {
		t.Fatalf("the daemon is at %s, not %s", again, url)
	}
	fill(t, server.Addr, 2)
	b.shows("#fresh", "live")
	b.until("the warning to go", `document.getElementById("stale").hidden`)
}
