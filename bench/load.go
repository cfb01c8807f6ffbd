package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/weirhq/weir/service/model"
)

// load is how long a program took to load a file, and the memory that this needed at most, beyond what it had before.
type load struct {
	Seconds float64 `json:"seconds"`
	Bytes   float64 `json:"bytes"`
}

// loads are those of one file.
type loads struct {
	file         string
	size         int64
	weir, python []load
}

func measureLoads(ctx context.Context, p *plan, r *results) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, file := range []string{"large.pkl", "large.joblib"} {
		info, err := os.Stat(p.models(file))
		if err != nil {
			return err
		}
		l := loads{file: file, size: info.Size()}
		for round := range p.rounds + 1 { // the first one brings the file into the page cache
			weir, err := loadOnce(ctx, self, "load", p.models(file))
			if err != nil {
				return err
			}
			python, err := loadOnce(ctx, p.python("libraries"), p.script("load.py"), p.models(file))
			if err != nil {
				return err
			}
			if round > 0 {
				l.weir, l.python = append(l.weir, weir), append(l.python, python)
			}
		}
		r.loads = append(r.loads, l)
	}
	return nil
}

func loadOnce(ctx context.Context, program string, args ...string) (l load, err error) {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return l, fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return l, json.Unmarshal(out, &l)
}

// runLoad loads a file as the server does and writes a load.
func runLoad(path string) error {
	before, err := peak()
	if err != nil {
		return err
	}
	start := time.Now()
	m, _, err := model.LoadFile(path, "")
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	after, err := peak()
	if err != nil {
		return err
	}
	runtime.KeepAlive(m)
	return json.NewEncoder(os.Stdout).Encode(load{seconds, float64(after - before)})
}

// peak is the most memory that this program has had, in bytes. The kernel's ru_maxrss would say what the program had that
// started this one, where that is more.
func peak() (int64, error) {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	_, err = fmt.Sscan(after, &kilobytes)
	return kilobytes << 10, err
}

func medianOf(all []load, f func(load) float64) float64 {
	var v []float64
	for _, l := range all {
		v = append(v, f(l))
	}
	return median(v)
}
