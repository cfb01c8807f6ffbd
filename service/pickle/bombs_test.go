package pickle_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// maxOver is what a file may cost beyond its own size.
const maxOver = 64 << 20

// TestMemoryStaysWithinBudget runs bombs that are small on disk and large in memory for readers without a budget.
func TestMemoryStaysWithinBudget(t *testing.T) {
	const n = 1 << 20
	laughs := proto4 + "]\x94"
	for i := range 200 {
		laughs += "](" + strings.Repeat("h"+string([]byte{byte(i)}), 100) + "e\x94"
	}
	dtype := stackGlobal("numpy", "dtype") + str("f8") + "\x85R"
	shared := stackGlobal("numpy._core.numeric", "_frombuffer") + "\x94" + "C\x08" + le64(0) + "\x94" + dtype + "\x94" +
		"K\x01\x85\x94" + str("C") + "\x94"
	bombs := map[string]string{
		"EMPTY_DICT":         proto2 + strings.Repeat("}", n),
		"EMPTY_LIST":         proto2 + strings.Repeat("]", n),
		"empty sets":         proto4 + strings.Repeat("\x8f", n),
		"MARK":               proto2 + strings.Repeat("(", n),
		"MARK and TUPLE":     proto2 + strings.Repeat("(t", n/2),
		"nested TUPLE1":      proto4 + "N" + strings.Repeat("\x85", n),
		"memo":               proto4 + "N" + strings.Repeat("\x94", n),
		"memo far apart":     proto2 + "N" + strings.Repeat("r\xff\xff\x03\x00", 100) + strings.Repeat("r\xff\xff\x3f\x00", 100),
		"billion laughs":     laughs + "e.",
		"numbers":            proto2 + "](" + strings.Repeat("K\x01", n/2) + "e",
		"short texts":        proto4 + "](" + strings.Repeat("\x8c\x00", n/2) + "e",
		"instances":          proto4 + stackGlobal("sklearn.linear_model._base", "LinearRegression") + "\x94" + strings.Repeat("h\x00)\x81", n/4),
		"arrays that share":  proto4 + "(" + shared + strings.Repeat("h\x00(h\x01h\x02h\x03h\x04tR", n/14),
		"bz2":                bz2Zeros(t),
		"dictionary of lzma": "\x5d\xff\xff\xff\xff" + strings.Repeat("\xff", 8) + strings.Repeat("\x00", 30),
	}
	for name, open := range writers {
		bombs[name] = compressed(t, 60, open)
	}
	for name, data := range bombs {
		t.Run(name, func(t *testing.T) {
			peak := peakHeap(func() {
				if _, err := load([]byte(data)); err == nil {
					t.Error("loaded")
				}
			})
			if over := peak - len(data); over > maxOver {
				t.Errorf("it takes %d MiB for a file of %d KiB", over>>20, len(data)>>10)
			}
		})
	}
}

// writers are the compressions that Go can write.
var writers = map[string]func(io.Writer) (io.WriteCloser, error){
	"gzip": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
	"zlib": func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil },
	"xz":   func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	"lzma": func(w io.Writer) (io.WriteCloser, error) { return lzma.NewWriter(w) },
	"lz4":  func(w io.Writer) (io.WriteCloser, error) { return lz4.NewWriter(w), nil },
}

// compressed is so many MiB of zeros.
func compressed(t testing.TB, size int, open func(io.Writer) (io.WriteCloser, error)) string {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range size {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bz2Zeros is 100 MiB of zeros, from Python's bz2.compress: Go's library only reads the format.
func bz2Zeros(t *testing.T) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAA" +
		"wAAACCAAMIBNRkKgJakKgJcxQVkmU1mKltepAGQGRADAABAAAAggADDMBSmmKARbEoBF4u5IpwoSFdRTLWA=")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// peakHeap returns how much memory f holds at most, in bytes, beyond what there was.
func peakHeap(f func()) int {
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // so that it is not mostly garbage
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() int {
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
	runtime.GC()
	before, peak := read(), 0
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-done:
				return
			case <-tick.C:
				peak = max(peak, read())
			}
		}
	}()
	f()
	close(done)
	<-stopped
	return max(peak, read()) - before
}
