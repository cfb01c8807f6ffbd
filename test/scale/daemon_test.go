package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
)

// footprint is what a process uses.
type footprint struct {
	CPU        time.Duration // since its start
	RSS        uint64        // bytes
	Heap       uint64        // live bytes, after a collection
	Stacks     uint64        // bytes
	Goroutines int
}

// runDaemon does what `deployer guard` does. For each line on in it writes its footprint to out; a line that is a path
// also makes it profile its CPU into that file until the next one.
func runDaemon(ctx context.Context, in io.Reader, out io.Writer) error {
	n, err := nomad.New("")
	if err != nil {
		return err
	}
	c, err := consul.New("")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop() // the test has ended
		for lines := bufio.NewScanner(in); lines.Scan(); {
			pprof.StopCPUProfile()
			if err := json.NewEncoder(out).Encode(measure()); err != nil {
				return
			}
			if file, err := os.Create(lines.Text()); err == nil {
				_ = pprof.StartCPUProfile(file)
			}
		}
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := (&guard.Guard{Nomad: n, Consul: c, Log: log}).All(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func measure() footprint {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f := footprint{Heap: m.HeapAlloc, Stacks: m.StackInuse, Goroutines: runtime.NumGoroutine()}
	f.CPU, f.RSS = used("self")
	return f
}

// used reads a process's CPU time and resident memory from Linux's /proc.
func used(pid string) (cpu time.Duration, rss uint64) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	for _, field := range fields[11:13] { // utime and stime, in hundredths of a second
		ticks, _ := strconv.ParseInt(field, 10, 64)
		cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	pages, _ := strconv.ParseUint(fields[21], 10, 64)
	return cpu, pages * uint64(os.Getpagesize()) //nolint:gosec // positive
}

// daemon is the program under test in a process of its own.
type daemon struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *json.Decoder
}

func startDaemon(t *testing.T, consulAddr, nomadAddr string) *daemon {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, cmd: exec.Command(self)}
	d.cmd.Env = append(os.Environ(), asDaemon+"=1", "CONSUL_HTTP_ADDR="+consulAddr, "NOMAD_ADDR=http://"+nomadAddr)
	d.cmd.Stderr = t.Output()
	in, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.in, d.out = in, json.NewDecoder(out)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait() // killed
	})
	return d
}

// footprint asks the daemon. profile names a file for its CPU profile from now on, "" for none.
func (d *daemon) footprint(profile string) footprint {
	d.t.Helper()
	var f footprint
	if _, err := fmt.Fprintln(d.in, profile); err != nil {
		d.t.Fatalf("ask the daemon: %v", err)
	}
	if err := d.out.Decode(&f); err != nil {
		d.t.Fatalf("the daemon's answer: %v", err)
	}
	return f
}
