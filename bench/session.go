package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/weirhq/weir/service/model"
)

// columns is the width of the rows.
const columns = 20

// request asks a runner for calls of so many rows with so many threads, for so long.
type request struct {
	Rows    int     `json:"rows"`
	Threads int     `json:"threads"`
	Seconds float64 `json:"seconds"`
}

// reply is how long a call took, and what the model says of the first row.
type reply struct {
	Seconds float64 `json:"seconds"`
	Answer  float64 `json:"answer"`
}

// session is a runner that was started: a program that answers a request a line with a reply a line.
type session struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func open(ctx context.Context, program string, args ...string) (*session, error) {
	s := &session{cmd: exec.CommandContext(ctx, program, args...)}
	s.cmd.Stderr = os.Stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(out)
	return s, s.cmd.Start()
}

func (s *session) ask(q request) (a reply, err error) {
	if err := json.NewEncoder(s.in).Encode(q); err != nil {
		return a, err
	}
	err = s.out.Decode(&a)
	return a, err
}

func (s *session) close() error { return errors.Join(s.in.Close(), s.cmd.Wait()) }

// runRunner is the runner for Weir itself: the arguments are the files of a model and of rows.
func runRunner(args []string) error {
	m, _, err := model.LoadFile(args[0], "")
	if err != nil {
		return err
	}
	x, err := readRows(args[1])
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		runtime.GOMAXPROCS(q.Threads)
		seconds, err := measure(m, x, q.Rows, q.Seconds)
		if err != nil {
			return err
		}
		proba := make([]float64, m.Proba)
		if err := m.Probabilities(x[:m.In], 1, proba, new(model.Scratch)); err != nil {
			return err
		}
		if err := out.Encode(reply{seconds, proba[m.Proba-1]}); err != nil {
			return err
		}
	}
	return nil
}

// measure returns the seconds of a call for so many rows. Each call takes other rows than the one before.
func measure(m *model.Model, x []float64, rows int, seconds float64) (float64, error) {
	var s model.Scratch
	out, all := make([]float64, rows*m.Proba), len(x)/m.In
	calls, start := 0, time.Now()
	for calls == 0 || time.Since(start).Seconds() < seconds {
		for range max(1, 100/rows) { // the clock is not asked for each row
			at := calls * rows * 37 % (all - rows + 1)
			if err := m.Probabilities(x[at*m.In:(at+rows)*m.In], rows, out, &s); err != nil {
				return 0, err
			}
			calls++
		}
	}
	return time.Since(start).Seconds() / float64(calls), nil
}

func readRows(path string) ([]float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	x := make([]float64, len(b)/8)
	for i := range x {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return x, nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
