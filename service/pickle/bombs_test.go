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
	"syscall"
	"testing"
	"time"

	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/weirhq/weir/service/pickle"
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

// TestCompressedAttacksStaySmall hides attacks of tens of MiB behind each compression. None may cost more than a bomb
// that isn't compressed, however much it would unpack to.
func TestCompressedAttacksStaySmall(t *testing.T) {
	const n = 10 << 20
	zeros := strings.Repeat("\x00", n)
	tests := []struct{ name, content, want string }{
		{"a large value in front of a call", proto4 + "\x8e" + le64(n) + zeros + stackGlobal("os", "system") + ")R\x86.", "os.system"},
		{"a large text in front of a call", proto4 + "\x8d" + le64(n) + zeros + stackGlobal("os", "system") + ")R\x86.", "os.system"},
		{"many large values", proto4 + "(" + strings.Repeat("\x8e"+le64(1<<20)+zeros[:1<<20], 10), "cut off"},
		{"empty lists", proto2 + strings.Repeat("]", n), "on the stack"},
		{"empty dicts", proto2 + "]" + strings.Repeat("}a", n/2), "far more memory"},
		{"entries of one dict", proto2 + "}(" + strings.Repeat("K\x01K\x02", n/4) + "u", "on the stack"},
		{"entries in batches", proto2 + "}" + strings.Repeat("("+strings.Repeat("K\x01K\x02", 1000)+"u", n/4002), "far more memory"},
		{"numbers in batches", proto2 + "]" + strings.Repeat("("+strings.Repeat("J\x01\x02\x03\x04", 1000)+"e", n/5002), "far more memory"},
		{"memo", proto4 + "N" + strings.Repeat("\x94", n), "far more memory"},
		{"terms that only look like terms", proto4 + str("a") + "\x94}" + strings.Repeat("("+strings.Repeat("h\x00K\x01", 1000)+"u", n/4002), "far more memory"},
		{"marks", proto2 + strings.Repeat("(", n), "inside one another"},
		{"zeros behind the end", proto2 + "N." + zeros, "follow the end"},
		{"no pickle", zeros, "protocol 2 to 5"},
		{"text", "(" + strings.Repeat("I1\n", n/3), "protocol 2 to 5"},
		{"a forest of zeros", nodesOfZeros(n), "of a tree has the children"},
	}
	for _, tt := range tests {
		for name, open := range writers {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				data := pack(t, []byte(tt.content), open)
				if len(data) > 4<<20 {
					t.Fatalf("%d bytes are no bomb", len(data))
				}
				start := cpuTime(t)
				var err error
				peak := peakHeap(func() { _, _, err = pickle.Read(data, sklearn) })
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q in it", err, tt.want)
				}
				if over := peak - len(data); over > maxOver {
					t.Errorf("it takes %d MiB for a file of %d KiB", over>>20, len(data)>>10)
				}
				if took := cpuTime(t) - start; took > 20*time.Second { // it is some tenths
					t.Errorf("it takes %s", took)
				}
			})
		}
	}
}

// nodesOfZeros is a joblib file of one array, the nodes of a tree: so many bytes of zeros.
func nodesOfZeros(n int) string {
	integer := stackGlobal("numpy", "dtype") + str("i8") + "\x85R(K\x03" + str("<") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
	node := stackGlobal("numpy", "dtype") + str("V16") + "\x85R(K\x03" + str("|") + "N" +
		str("left_child") + str("right_child") + "\x86" +
		"}(" + str("left_child") + integer + "K\x00\x86" + str("right_child") + integer + "K\x08\x86u" + "K\x10K\x01K\x10tb"
	return proto4 + stackGlobal("joblib.numpy_pickle", "NumpyArrayWrapper") + ")\x81}(" + str("shape") + "J" +
		le32(uint32(n/16)) + "\x85" + str("order") + str("C") + str("dtype") + node + "ub" + strings.Repeat("\x00", n/16*16) + "."
}

// cpuTime is what this process has used, which doesn't depend on what else runs.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
	return string(pack(t, make([]byte, size<<20), open))
}

func pack(t testing.TB, content []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
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
