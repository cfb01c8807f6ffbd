// Package judge gathers the evidence of a rollout, while its steps bake and before its first request, and has package
// analysis judge it.
package judge

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/rollout"
)

// Config says what is judged and where the numbers come from. It travels in the record, as rollout.Analysis.Config, so
// that whoever takes the rollout over judges alike.
type Config struct {
	Spec       analysis.Spec `json:"spec"`
	Cases      []Case        `json:"cases,omitempty"`      // the golden set
	Prometheus string        `json:"prometheus,omitempty"` // URL of the server that answers the queries
}

// Case is one recorded request of the golden set and the answer that is expected.
type Case struct {
	Name    string          `json:"name"`
	Request json.RawMessage `json:"request"` // the body of POST /predict
	Want    json.RawMessage `json:"want"`    // members that the answer must have; it may have more
}

// maxCases and maxGolden bound a golden set: it is stored with the record, and Consul keeps at most 512 KiB under a
// key.
const (
	maxCases  = 1000
	maxGolden = 128 << 10
)

// ReadCases reads a golden set: a JSON list of cases, or one case after the other, as in a .jsonl file.
func ReadCases(src []byte) ([]Case, error) {
	if len(src) > maxGolden {
		return nil, fmt.Errorf("the golden set has %d bytes: want at most %d, as it is stored with the rollout",
			len(src), maxGolden)
	}
	var cases []Case
	src = bytes.TrimSpace(src)
	if len(src) > 0 && src[0] == '[' {
		if err := json.Unmarshal(src, &cases); err != nil {
			return nil, fmt.Errorf("read the golden set: %w", err)
		}
		return cases, checkCases(cases)
	}
	for dec := json.NewDecoder(bytes.NewReader(src)); dec.More(); {
		var c Case
		if err := dec.Decode(&c); err != nil {
			return nil, fmt.Errorf("read case %d of the golden set: %w", len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	return cases, checkCases(cases)
}

func checkCases(cases []Case) error {
	if len(cases) == 0 || len(cases) > maxCases {
		return fmt.Errorf("the golden set has %d cases: want 1 to %d", len(cases), maxCases)
	}
	for i := range cases {
		c := &cases[i]
		if c.Name == "" {
			c.Name = fmt.Sprintf("case %d", i+1)
		}
		if len(c.Request) == 0 || len(c.Want) == 0 {
			return fmt.Errorf(`%s of the golden set: want {"name": …, "request": {…}, "want": {…}}`, c.Name)
		}
	}
	return nil
}

// Put writes the config into a rollout's spec.
func Put(s *rollout.Spec, c Config) error {
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the analysis: %w", err)
	}
	inconclusive := rollout.OnHold
	if c.Spec.AbortInconclusive {
		inconclusive = rollout.OnAbort
	}
	s.Analysis = &rollout.Analysis{
		Golden: len(c.Cases) > 0, Steps: true, Extend: c.Spec.Extend, Sources: c.Spec.SourceDown,
		Inconclusive: inconclusive, Config: b,
	}
	return nil
}

// Of reads the config of a rollout's spec; false where it has none.
func Of(s rollout.Spec) (Config, bool, error) {
	var c Config
	if s.Analysis == nil {
		return c, false, nil
	}
	if err := json.Unmarshal(s.Analysis.Config, &c); err != nil {
		return c, false, fmt.Errorf("read the analysis of the record: %w", err)
	}
	return c, true, nil
}
