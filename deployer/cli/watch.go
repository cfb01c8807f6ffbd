package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/consul"
)

// watchStatus shows the status anew after each change, until a signal: on a terminal in place, elsewhere as plain
// lines, each time it has changed.
func (a *app) watchStatus(ctx context.Context, models []string) error {
	ctx, stop := a.untilSignal(ctx)
	defer stop()
	c, err := a.consul(ctx)
	if err != nil {
		return err
	}
	woken := make(chan struct{}, 1)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		c.WatchAll(ctx, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
	}()
	defer func() { stop(); <-watching }()
	last := ""
	for {
		text, err := a.statusTree(ctx, c, models)
		if err != nil && ctx.Err() == nil {
			text = fmt.Sprintf("%v\n", err) // Consul may be back at the next look
		}
		if ctx.Err() != nil {
			return nil
		}
		if text != last {
			a.repaint(text)
			last = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-woken:
		case <-time.After(time.Second): // the time that is left
		}
	}
}

func (a *app) statusTree(ctx context.Context, c *consul.Client, models []string) (string, error) {
	if len(models) == 0 {
		var err error
		if models, err = c.Models(ctx); err != nil {
			return "", err
		}
	}
	var b bytes.Buffer
	for _, m := range models {
		s, err := statusOf(ctx, c, m)
		if err != nil {
			return "", err
		}
		s.print(&b)
		s.tree(&b)
	}
	return b.String(), nil
}

// tree lists the instances of a model under their releases.
func (s modelStatus) tree(out io.Writer) {
	for i, in := range s.Instances {
		branch := "├─"
		if i+1 == len(s.Instances) {
			branch = "└─"
		}
		fmt.Fprintf(out, "  %s %s  %s  %s  %s", branch, in.Release, in.Addr, in.Status, in.Color)
		if in.Output != "" {
			fmt.Fprintf(out, "  %s", strings.Join(strings.Fields(in.Output), " "))
		}
		fmt.Fprintln(out)
	}
}

// repaint shows a text: on a terminal in place of the last one, elsewhere below it, with the time.
func (a *app) repaint(text string) {
	if isTerminal(a.out) {
		fmt.Fprint(a.out, "\x1b[H\x1b[2J"+text)
		return
	}
	fmt.Fprintf(a.out, "%s\n%s", time.Now().Format(time.TimeOnly), text)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

var errNoJSON = errors.New("--watch shows text: leave -o json out")
