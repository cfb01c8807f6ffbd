package devnomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

// logPoll is how often a followed log is looked at, and maxFrame how much of it one frame holds.
const (
	logPoll  = 100 * time.Millisecond
	maxFrame = 64 << 10
)

// logs streams what a task has written: as frames, or as it is with ?plain=true.
func (a *Agent) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l := &logStream{
		agent: a, id: r.PathValue("id"), task: q.Get("task"), kind: q.Get("type"),
		out: json.NewEncoder(w), w: w, flush: http.NewResponseController(w),
	}
	l.plain, _ = strconv.ParseBool(q.Get("plain"))
	follow, _ := strconv.ParseBool(q.Get("follow"))
	err := l.checkQuery()
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		if l.plain {
			w.Header().Set("Content-Type", "text/plain")
		}
		err = l.checkTask()
	}
	if err != nil {
		writeError(w, err)
		return
	}
	offset, _ := strconv.ParseInt(q.Get("offset"), 10, 64)
	if q.Get("origin") == "end" {
		l.skip = l.size() - offset
	} else {
		l.skip = offset
	}
	_ = l.run(r.Context(), follow) // the reader has gone
}

type logStream struct {
	agent          *Agent
	id, task, kind string
	plain          bool
	skip           int64            // bytes not to be sent, from the oldest file on
	sent           map[string]int64 // file → bytes done
	out            *json.Encoder
	w              io.Writer
	flush          *http.ResponseController
}

func (l *logStream) checkQuery() error {
	switch {
	case l.task == "":
		return badRequest("must provide task name")
	case l.kind != "stdout" && l.kind != "stderr":
		return badRequest("must provide log type (stdout/stderr)")
	}
	return nil
}

func (l *logStream) checkTask() error {
	alloc, err := l.agent.known(l.id)
	if err != nil {
		return err
	}
	group := lookupGroup(alloc.Job, alloc.TaskGroup)
	for _, t := range group.Tasks {
		if t.Name == l.task {
			return nil
		}
	}
	return badRequest(fmt.Sprintf("unknown task name %q", l.task))
}

func (l *logStream) files() []string {
	paths, err := l.agent.client.LogFiles(l.id, l.task, l.kind)
	if err != nil {
		return nil // not started, or removed
	}
	return paths
}

func (l *logStream) size() (total int64) {
	for _, p := range l.files() {
		if info, err := os.Stat(p); err == nil {
			total += info.Size()
		}
	}
	return total
}

// run sends what there is, and with follow what comes until the reader goes or the task has ended.
func (l *logStream) run(ctx context.Context, follow bool) error {
	l.sent = map[string]int64{}
	poll := time.NewTicker(logPoll)
	defer poll.Stop()
	for {
		ended := l.ended()
		for _, path := range l.files() {
			if err := l.sendFile(path); err != nil {
				return err
			}
		}
		if !follow || ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.agent.stopping:
			return nil
		case <-poll.C:
		}
	}
}

func (l *logStream) ended() bool {
	alloc, err := l.agent.known(l.id)
	return err != nil || clientTerminal(alloc) || l.agent.client.Ended(l.id)
}

func (l *logStream) sendFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(l.sent[path], io.SeekStart); err != nil {
		return fmt.Errorf("seek in log: %w", err)
	}
	buf := make([]byte, maxFrame)
	for {
		n, err := f.Read(buf)
		l.sent[path] += int64(n)
		if skipped := min(l.skip, int64(n)); n > 0 {
			l.skip -= max(skipped, 0)
			if err := l.send(path, buf[max(skipped, 0):n]); err != nil {
				return err
			}
		}
		if err != nil {
			return l.flush.Flush()
		}
	}
}

func (l *logStream) send(path string, data []byte) error {
	switch {
	case len(data) == 0:
		return nil
	case l.plain:
		_, err := l.w.Write(data)
		return err
	}
	return l.out.Encode(api.StreamFrame{
		Data: data, File: filepath.Join("alloc", "logs", filepath.Base(path)), Offset: l.sent[path],
	})
}
