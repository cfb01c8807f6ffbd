package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/weirhq/weir/deployer/analysis"
)

// RingReader reads the rings of instances' last predictions, each time only what is new. It is not safe for concurrent
// use.
type RingReader struct {
	scraper *Scraper
	seen    map[string]mark // by instance
}

// mark is how far a ring was read.
type mark struct {
	process string // in another process the sequence numbers begin anew
	seq     uint64
}

// NewRingReader returns a reader that has read nothing.
func NewRingReader(s *Scraper) *RingReader { return &RingReader{scraper: s, seen: map[string]mark{}} }

// ringLine is one row of a request in /weir/ring.
type ringLine struct {
	Seq        uint64          `json:"seq"`
	RequestID  string          `json:"request_id"`
	Row        int             `json:"row"`
	Rows       int             `json:"rows"`
	Error      string          `json:"error"`
	Prediction json.RawMessage `json:"prediction"`
}

// Read returns the requests that an instance answered since the last Read, each with its rows' predictions as a list,
// or with its error. Requests whose entries were overwritten before they could be read are missing.
func (r *RingReader) Read(ctx context.Context, t Target) ([]analysis.Output, error) {
	ctx, cancel := context.WithTimeout(ctx, r.scraper.timeout)
	defer cancel()
	last := r.seen[t.name()]
	lines, process, err := r.after(ctx, t, last.seq)
	if err == nil && process != last.process && last.seq > 0 {
		last = mark{}
		lines, process, err = r.after(ctx, t, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("read the ring of %s: %w", t.Addr, err)
	}
	out, next := outputs(lines)
	r.seen[t.name()] = mark{process: process, seq: max(last.seq, next)}
	return out, nil
}

func (r *RingReader) after(ctx context.Context, t Target, seq uint64) (lines []ringLine, process string, err error) {
	res, err := r.scraper.get(ctx, "http://"+t.Addr+"/weir/ring?after="+strconv.FormatUint(seq, 10))
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	for d := json.NewDecoder(io.LimitReader(res.Body, maxPage)); ; {
		var l ringLine
		err := d.Decode(&l)
		if errors.Is(err, io.EOF) {
			return lines, res.Header.Get("X-Weir-Instance"), nil
		}
		if err != nil {
			return nil, "", fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
}

// maxRows is how many rows of a request an instance keeps.
const maxRows = 16

// outputs puts the rows of each request together. Requests that are not complete are left out; where the last one is
// not, next is the sequence number to read on from.
func outputs(lines []ringLine) (out []analysis.Output, next uint64) {
	for len(lines) > 0 {
		first, n := lines[0], 1
		for n < len(lines) && lines[n].RequestID == first.RequestID && lines[n].Row == n {
			n++
		}
		switch wanted := max(min(first.Rows, maxRows), 1); {
		case first.Row == 0 && n == wanted:
			out = append(out, analysis.Output{ID: first.RequestID, Value: value(lines[:n])})
		case first.Row == 0 && n < wanted && n == len(lines):
			return out, first.Seq - 1
		}
		next = lines[n-1].Seq
		lines = lines[n:]
	}
	return out, next
}

// value is what was answered: a list of predictions, or an error.
func value(lines []ringLine) json.RawMessage {
	rows := make([]json.RawMessage, 0, len(lines))
	for _, l := range lines {
		if l.Error != "" {
			b, _ := json.Marshal(map[string]string{"error": l.Error}) // text always marshals
			return b
		}
		rows = append(rows, l.Prediction)
	}
	b, _ := json.Marshal(rows) // so does what was just unmarshalled
	return b
}
