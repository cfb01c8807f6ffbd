package parts

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// counter turns lines written to it into a line of progress now and then: a percentage if total is known.
type counter struct {
	out    io.Writer
	label  string
	prefix string // count only lines that start with this
	total  int

	seen    int
	partial []byte
	tail    []string // the last lines, for an error
	shown   time.Time
	percent int
}

const (
	counterEvery = 5 * time.Second
	counterStep  = 5 // percent
	counterTail  = 10
)

// Write counts the lines in p.
func (c *counter) Write(p []byte) (int, error) {
	c.partial = append(c.partial, p...)
	for {
		line, rest, found := bytes.Cut(c.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		c.partial = rest
		c.add(string(line))
	}
}

func (c *counter) add(line string) {
	c.tail = append(c.tail, line)
	if len(c.tail) > counterTail {
		c.tail = c.tail[1:]
	}
	if !strings.HasPrefix(line, c.prefix) {
		return
	}
	c.seen++
	percent := 0
	if c.total > 0 {
		percent = min(100, 100*c.seen/c.total)
	}
	if percent < c.percent+counterStep && time.Since(c.shown) < counterEvery {
		return
	}
	c.percent, c.shown = percent, time.Now()
	if c.total > 0 {
		fmt.Fprintf(c.out, "%s %d of %d packages (%d %%)\n", c.label, c.seen, c.total, percent)
		return
	}
	fmt.Fprintf(c.out, "%s: %d\n", c.label, c.seen)
}

// last returns the last lines written.
func (c *counter) last() string { return strings.Join(append(c.tail, string(c.partial)), "\n") }
