package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/consul"
)

// watchStatus shows the status anew after each change, until a signal: on a terminal in place, elsewhere as plain
// lines, with -o json as one line of JSON, each time it has changed.
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
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			fmt.Fprintf(a.errs, "deployer: %v\n", err) // Consul may be back at the next look
		} else if text != last {
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

// statusTree is the status as it is shown: a tree, or with -o json one line.
func (a *app) statusTree(ctx context.Context, c *consul.Client, models []string) (string, error) {
	all, err := a.statuses(ctx, c, models)
	if err != nil {
		return "", err
	}
	if a.format == "json" {
		line, err := json.Marshal(all)
		return string(line) + "\n", err
	}
	var b bytes.Buffer
	for _, s := range all {
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
	switch {
	case a.format == "json":
		fmt.Fprint(a.out, text)
		return
	case isTerminal(a.out):
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
