package model_test

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/service/model"
)

// BenchmarkLoadFile loads the files that WEIR_MODEL_FILES names, separated by colons. It reports the peak of resident
// memory above what there was before, in parts of the file's size, and the heap that a loaded model takes.
func BenchmarkLoadFile(b *testing.B) {
	paths := filepath.SplitList(os.Getenv("WEIR_MODEL_FILES"))
	if len(paths) == 0 {
		paths = []string{"../testdata/sklearn-1.2.1/forest-classifier-ten.pkl"}
	}
	for _, path := range paths {
		b.Run(filepath.Base(path), func(b *testing.B) {
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			debug.FreeOSMemory()
			before, heap := memory(b, true), heapInUse()
			var m *model.Model
			used := cpuTime(b)
			for b.Loop() {
				if m, _, err = model.LoadFile(path, ""); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-used)/1e6/float64(b.N), "cpu-ms")
			peak := memory(b, false)
			b.ReportMetric(float64(peak-before)/float64(info.Size()), "peak/file")
			b.ReportMetric(float64(heapInUse()-heap)/1e6, "heap-MB")
			runtime.KeepAlive(m)
		})
	}
}

// cpuTime is what the process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapInUse() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// memory returns the peak of resident memory in bytes, or after a reset what there is. Where there is no /proc it is 0.
func memory(b *testing.B, reset bool) int64 {
	b.Helper()
	if reset {
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			return 0
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kilobytes << 10
}
