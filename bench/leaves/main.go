// Command leaves runs the predictions of github.com/dmitryikh/leaves for the benchmark: a request is a line of JSON on
// standard input, as is its answer. It is a module of its own, so that Weir doesn't depend on leaves.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/dmitryikh/leaves"
)

const columns = 20

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "leaves:", err)
		os.Exit(1)
	}
}

func run(modelPath, rowsPath string) error {
	model, err := leaves.LGEnsembleFromFile(modelPath, true)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(rowsPath)
	if err != nil {
		return err
	}
	x := make([]float64, len(b)/8)
	for i := range x {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var request struct {
			Rows, Threads int
			Seconds       float64
		}
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return err
		}
		seconds, err := measure(model, x, request.Rows, request.Threads, request.Seconds)
		if err != nil {
			return err
		}
		answer := map[string]float64{"seconds": seconds, "answer": model.PredictSingle(x[:columns], 0)}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

// measure returns the seconds of a call for so many rows.
func measure(model *leaves.Ensemble, x []float64, rows, threads int, seconds float64) (float64, error) {
	sums, all := make([]float64, rows), len(x)/columns
	calls, start := 0, time.Now()
	for time.Since(start).Seconds() < seconds || calls == 0 {
		at := calls * rows * 37 % (all - rows + 1)
		if rows == 1 {
			sums[0] = model.PredictSingle(x[at*columns:(at+1)*columns], 0)
		} else if err := model.PredictDense(x[at*columns:(at+rows)*columns], rows, columns, sums, 0, threads); err != nil {
			return 0, err
		}
		calls++
	}
	return time.Since(start).Seconds() / float64(calls), nil
}
