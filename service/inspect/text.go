package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/weirhq/weir/service/model"
)

func (r *report) writeJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) writeText(out io.Writer) error {
	var b bytes.Buffer
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{key}, args...)...)
	}
	line("File", "%s", r.File)
	line("Size", "%s", r.size())
	line("Format", "%s", r.format())
	line("Digest", "%s", r.Digest)
	if m := r.Model; m != nil {
		line("Library", "%s", m.Library)
		line("Model", "%s", strings.Join(tree(m.Part), "\n"+strings.Repeat(" ", 12)))
		line("Inputs", "%s", m.inputs())
		line("Outputs", "%s", m.outputs())
		line("Content", "%s", m.content())
		line("Loads in", "%.1f ms", r.LoadMillis)
	}
	for _, f := range r.Findings {
		line("Suspicious", "byte %d: %s", f.At, strings.TrimPrefix(f.Text, fmt.Sprintf("byte %d: ", f.At)))
	}
	for _, n := range r.Refused {
		key := "Refused"
		if n.system {
			key = "Suspicious"
		}
		line(key, "byte %d: %s: %s", n.At, n.Name, n.Why)
	}
	line("Verdict", "%s", r.verdict())
	_, err := out.Write(b.Bytes())
	return err
}

func (r *report) size() string {
	if r.Compression == "" {
		return count(r.Bytes) + " bytes"
	}
	return fmt.Sprintf("%s bytes, %s uncompressed", count(r.Bytes), count(r.Unpacked))
}

func (r *report) format() string {
	if r.Format == "" {
		return "unknown"
	}
	s := fmt.Sprintf("%s, protocol %d", r.Format, r.Protocol)
	if r.Compression != "" {
		s += ", compressed with " + r.Compression
	}
	return s
}

// tree draws the estimators, one a line.
func tree(p model.Part) []string {
	head := p.Class
	if p.Name != "" {
		head = p.Name + ": " + head
	}
	if p.Times > 1 {
		head += fmt.Sprintf(" × %d", p.Times)
	}
	lines := []string{head}
	for _, child := range p.Parts {
		for _, l := range tree(child) {
			lines = append(lines, "  "+l)
		}
	}
	return lines
}

// shown is how many columns or classes are listed.
const shown = 20

func (m *object) inputs() string {
	if len(m.Inputs) == 0 {
		return "rows of any width"
	}
	parts := make([]string, 0, shown)
	for i, c := range m.Inputs {
		if i == shown {
			parts = append(parts, "…")
			break
		}
		if c.Name != "" {
			parts = append(parts, fmt.Sprintf("%s (%s)", c.Name, c.Takes))
		}
	}
	s := plural(len(m.Inputs), "column")
	if len(parts) > 0 {
		return s + ": " + strings.Join(parts, ", ")
	}
	kinds := map[string]int{}
	for _, c := range m.Inputs {
		kinds[c.Takes]++
	}
	if len(kinds) == 1 {
		return s + " of " + m.Inputs[0].Takes
	}
	return s + " of several kinds"
}

func (m *object) outputs() string {
	s := fmt.Sprintf("%s, %s a row", m.Kind, plural(m.Outputs, "number"))
	if len(m.Classes) > 0 {
		s = fmt.Sprintf("%s, %s a row", m.Kind, plural(m.Outputs, "label"))
	}
	for _, labels := range m.Classes {
		s += fmt.Sprintf("; %s: %s", plural(len(labels), "class"), list(labels))
	}
	if m.Proba {
		s += "; probabilities"
	}
	if m.Decision {
		s += "; decision values"
	}
	return s
}

func list(labels []any) string {
	var parts []string
	for i, l := range labels {
		if i == shown {
			parts = append(parts, "…")
			break
		}
		if text, ok := l.(string); ok {
			l = strconv.Quote(text)
		}
		parts = append(parts, fmt.Sprint(l))
	}
	return strings.Join(parts, ", ")
}

func (m *object) content() string {
	var parts []string
	if m.Trees > 0 {
		parts = append(parts, plural(m.Trees, "tree"), plural(m.Nodes, "node"))
	}
	if m.Parameters > 0 || m.Trees == 0 {
		parts = append(parts, plural(m.Parameters, "parameter"))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n != 1 {
		what += map[bool]string{true: "es", false: "s"}[strings.HasSuffix(what, "s")]
	}
	return count(n) + " " + what
}

// count writes a number with commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
