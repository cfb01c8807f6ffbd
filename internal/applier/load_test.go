package applier

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirhq/weir/internal/traffic"
)

// load is closed-loop POST clients on keep-alive connections, that count what goes wrong.
type load struct {
	stop   context.CancelFunc
	wait   sync.WaitGroup
	sent   atomic.Int64
	mu     sync.Mutex
	errors []string
	last   map[string]time.Time // release → its last answer
}

func (r *rig) load(clients int, path string) *load { return r.thinkingLoad(clients, path, 0) }

// thinkingLoad is a load whose clients pause for up to think between two requests.
func (r *rig) thinkingLoad(clients int, path string, think time.Duration) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel, last: map[string]time.Time{}}
	for range clients {
		l.wait.Go(func() { l.client(ctx, "http://"+r.cfg.Listen+path, think) })
	}
	r.t.Cleanup(func() { l.end() })
	return l
}

func (l *load) client(ctx context.Context, url string, think time.Duration) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		l.sent.Add(1)
		// The body has no GetBody, so that net/http can't hide a lost request by sending it again.
		body := io.NopCloser(strings.NewReader(`{"x":[1,2,3]}`))
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, url, body)
		if err != nil {
			panic(err)
		}
		l.note(client.Do(req))
		if think > 0 {
			time.Sleep(rand.N(think)) //nolint:forbidigo // what a client with think time does
		}
	}
}

func (l *load) note(resp *http.Response, err error) {
	text := ""
	release := ""
	if err != nil {
		text = err.Error()
	} else {
		body, readErr := io.ReadAll(resp.Body)
		resp.Body.Close()
		release = resp.Header.Get(traffic.HeaderRelease)
		if readErr != nil || resp.StatusCode != http.StatusOK {
			text = fmt.Sprintf("%d %v %s", resp.StatusCode, readErr, body)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[release] = time.Now()
	if text != "" {
		l.errors = append(l.errors, text)
	}
}

// lastAnswer returns when the release answered last.
func (l *load) lastAnswer(release string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[release]
}

// end stops the clients and returns what went wrong.
func (l *load) end() []string {
	l.stop()
	l.wait.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errors
}
