package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// limit is the longest wait for anything.
const limit = time.Minute

// tab is a page in Chromium. What it complains of fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string
	expected string // complaints that contain it are none
}

// open starts a Chromium of the test's own.
func open(t *testing.T) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, end := chromedp.NewContext(alloc)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			b.shot("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		end()
		endAlloc()
		for _, what := range b.troubles {
			t.Errorf("the browser complains: %s", what)
		}
	})
	// The first call starts Chromium, which lives as long as its context.
	if err := chromedp.Listen(ctx, b.event); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	call(b, log.Enable, cdp.Empty{})
	return b
}

func (b *tab) event(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		what, _ := json.Marshal(e.ExceptionDetails)
		b.complain(string(what))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.complain(e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	}))
}

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expected == "" || !strings.Contains(what, b.expected) {
		b.troubles = append(b.troubles, what)
	}
}

// expect lets complaints pass that a test provokes.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = part
}

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("in the browser: %v; the page says:\n%s", err, b.text())
	}
}

func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (b *tab) visit(url string) { b.t.Helper(); b.run(chromedp.Navigate(url)) }

// until waits until an expression of JavaScript is true, woken by each frame of the page.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(0)))
		switch {
		case err == nil:
			return
		case ctx.Err() == nil && anotherPage.MatchString(err.Error()):
		default:
			b.t.Fatalf("waited for %s: %v; the page says:\n%s", what, err, b.text())
		}
	}
}

// anotherPage is how Chromium says that the page was left meanwhile.
var anotherPage = regexp.MustCompile(`Cannot find context|navigated or closed|context was destroyed`)

// shows waits until an element has a text.
func (b *tab) shows(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%q in %s", text, selector),
		fmt.Sprintf(`!!document.querySelector(%q)?.textContent.includes(%q)`, selector, text))
}

// eval returns the value of an expression, awaited.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v; the page says:\n%s", expression, err, b.text())
	}
	return v
}

// click clicks on the first element that a selector finds.
func (b *tab) click(selector string) { b.t.Helper(); b.run(chromedp.Click(chromedp.CSS(selector))) }

// keys types.
func (b *tab) keys(of ...string) {
	b.t.Helper()
	for _, k := range of {
		b.run(chromedp.KeyEvent(k))
	}
}

// act presses a button, gives a reason by keyboard, and confirms.
func (b *tab) act(verb, why string) {
	b.t.Helper()
	b.click("#act-" + verb)
	b.until("the reason to be asked", `document.activeElement?.id === "ask-why"`)
	b.keys(why, kb.Enter)
	b.until("the dialog to close", `!document.getElementById("ask").open`)
}

// shot keeps a picture of what is seen.
func (b *tab) shot(name string) {
	dir := os.Getenv("WEIR_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Errorf("take a picture: %v", err)
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Error(err)
	}
}

// dress has the page light or dark.
func (b *tab) dress(scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

func (b *tab) size(width, height int64) { b.t.Helper(); b.run(chromedp.EmulateViewport(width, height)) }

// fits fails where the page is wider than its window.
func (b *tab) fits() {
	b.t.Helper()
	if over := eval[float64](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		b.t.Errorf("the page is %g pixels too wide", over)
	}
}

// clean has axe-core look at the page, light and dark.
func (b *tab) clean(what string) {
	b.t.Helper()
	call(b, runtime.Evaluate, runtime.EvaluateParams{Expression: axe(b.t)})
	for _, scheme := range []string{"dark", "light"} {
		b.dress(scheme)
		type violation struct {
			ID    string                                  `json:"id"`
			Help  string                                  `json:"help"`
			Nodes []struct{ HTML, FailureSummary string } `json:"nodes"`
		}
		found := eval[[]violation](b, `axe.run({ resultTypes: ["violations"] }).then((r) => r.violations)`)
		for _, v := range found {
			nodes, _ := json.Marshal(v.Nodes)
			b.t.Errorf("axe on %s, %s: %s: %s: %s", what, scheme, v.ID, v.Help, nodes)
		}
	}
}
