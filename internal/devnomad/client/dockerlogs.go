package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// copyLogs copies what a container writes to stdout or stderr into the task's log file, to the container's end. The time
// of the last message is kept as the file's own, so that the next agent goes on after it.
func (c *container) copyLogs(typ string) {
	if unlogged(c.task.LogConfig) {
		return
	}
	ctx := context.Background() // as long as it runs
	for {
		err := c.copyLog(ctx, typ)
		if err == nil || errors.Is(err, errNoSuch) {
			return
		}
		state, err := c.engine.inspect(ctx, c.name)
		if err == nil && !state.Running {
			return // what could not be copied by now can't be
		}
		time.Sleep(time.Second) // the engine is away; it does not call back
	}
}

func (c *container) copyLog(ctx context.Context, typ string) error {
	path, err := newestLog(c.dir, c.task.Name, typ)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(c.dir.logs(), c.task.Name+"."+typ+".0")
	}
	var after time.Time
	if info, err := os.Stat(path); err == nil {
		after = info.ModTime()
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	stream, err := c.engine.logs(ctx, c.name, typ, after)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		message, err := readFrame(stream)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := appendMessage(file, message); err != nil {
			return err
		}
	}
}

// readFrame reads one frame of the engine's stream: a byte for the kind, three of zero, four for the length, the message.
func readFrame(stream io.Reader) ([]byte, error) {
	var header [8]byte
	if _, err := io.ReadFull(stream, header[:]); err != nil {
		return nil, err
	}
	message := make([]byte, min(binary.BigEndian.Uint32(header[4:]), 1<<20)) // it cuts messages at 16 KiB
	_, err := io.ReadFull(stream, message)
	return message, err
}

// appendMessage writes a message, which begins with its time, and gives the file that time.
func appendMessage(file *os.File, message []byte) error {
	stamp, text, found := bytes.Cut(message, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if !found || err != nil {
		text, at = message, time.Now()
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	// By its descriptor: it may have another name by now. Without its time the next agent would copy a little again.
	_ = os.Chtimes("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), time.Time{}, at)
	return nil
}
