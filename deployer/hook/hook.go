// Package hook runs what users hang on a rollout: commands and webhooks of its spec, and notifications.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/proc"
)

// maxSaid bounds what is kept of a hook's words, in bytes.
const maxSaid = 1 << 10

// Run runs a hook to its end, within its timeout, and returns its last words. The error says why it failed.
//
// A command gets the record as JSON on its standard input and WEIR_MODEL, WEIR_ROLLOUT, WEIR_RELEASE, WEIR_STABLE,
// WEIR_MOMENT, WEIR_PHASE, WEIR_STEP and WEIR_WEIGHT in its environment; it succeeds with exit code 0. A URL gets a
// POST of the record; it succeeds with a 2xx answer.
func Run(ctx context.Context, h rollout.Hook, rec rollout.Record) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(h.Timeout))
	defer cancel()
	if h.URL != "" {
		said, err = post(ctx, h.URL, string(h.On), rec)
	} else {
		said, err = command(ctx, h, rec)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it took longer than %s", time.Duration(h.Timeout))
	}
	return said, err
}

// Notify posts a record to a URL, for people: nothing depends on it.
func Notify(ctx context.Context, url string, rec rollout.Record) error {
	_, err := post(ctx, url, "notify", rec)
	return err
}

func command(ctx context.Context, h rollout.Hook, rec rollout.Record) (string, error) {
	var out tail
	cmd := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...) //nolint:gosec // the user's own command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(document(string(h.On), rec)), &out, &out
	cmd.Env = append(os.Environ(), environment(h, rec)...)
	proc.Tie(cmd)
	cmd.Cancel = func() error { return proc.SignalGroup(cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for whoever left the group with the output in hand
	if err := proc.Start(cmd); err != nil {
		return "", fmt.Errorf("start %s: %w", h.Command[0], err)
	}
	err := cmd.Wait()
	if err != nil {
		err = fmt.Errorf("%s: %w", h.Command[0], err)
	}
	return out.String(), err
}

func environment(h rollout.Hook, rec rollout.Record) []string {
	return []string{
		"WEIR_MODEL=" + rec.Model, "WEIR_ROLLOUT=" + rec.ID, "WEIR_RELEASE=" + rec.Release, "WEIR_STABLE=" + rec.Stable,
		"WEIR_MOMENT=" + string(h.On), "WEIR_PHASE=" + string(rec.Phase), "WEIR_STEP=" + strconv.Itoa(rec.Step+1),
		"WEIR_WEIGHT=" + strconv.Itoa(rec.Weight),
	}
}

// document is the record without the job, which is long and may hold secrets.
func document(moment string, rec rollout.Record) []byte {
	rec.Job = nil
	b, err := json.Marshal(struct {
		Moment string         `json:"moment"`
		Record rollout.Record `json:"record"`
	}{moment, rec})
	if err != nil {
		panic(err) // a record is made of what JSON can write
	}
	return b
}

func post(ctx context.Context, url, moment string, rec rollout.Record) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(document(moment, rec)))
	if err != nil {
		return "", fmt.Errorf("post to %s: %w", url, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("post: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSaid))
	said := strings.TrimSpace(string(body))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return said, fmt.Errorf("post to %s: %s", url, res.Status)
	}
	if err != nil {
		return said, fmt.Errorf("post to %s: read the answer: %w", url, err)
	}
	return said, nil
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - maxSaid; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// String is one line: a record's log has one for each event.
func (t *tail) String() string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(t.b), "?")), " ")
}
