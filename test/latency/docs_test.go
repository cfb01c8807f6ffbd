//go:build linux

package latency

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

const (
	page  = "../../docs/latency.md"
	data  = "../../docs/latency.jsonl"
	begin = "<!-- latency: begin, written by make latency -->\n"
	end   = "<!-- latency: end -->"
)

// update writes the tables between the marks in the docs, and each rollout beside them.
func (r *report) update() error {
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the docs: %w", err)
	}
	before, rest, ok1 := bytes.Cut(text, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		return fmt.Errorf("update %s: it lacks the marks %q and %q", page, begin, end)
	}
	text = []byte(string(before) + begin + "\n" + r.tables() + "\n" + end + string(after))
	if err := os.WriteFile(page, text, 0o600); err != nil {
		return fmt.Errorf("update the docs: %w", err)
	}
	return r.save()
}

// save writes one rollout a line.
func (r *report) save() error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	head := *r
	head.Rollouts, head.Plain = nil, nil
	lines := []any{head}
	for _, tr := range r.Rollouts {
		lines = append(lines, tr)
	}
	for _, tr := range r.Plain {
		lines = append(lines, tr)
	}
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
	}
	if err := os.WriteFile(data, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	return nil
}
