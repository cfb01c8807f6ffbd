package server_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/weirhq/weir/service/server"
)

// sink is a ResponseWriter that keeps nothing.
type sink struct {
	header http.Header
	code   int
	size   int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(code int)        { s.code = code }
func (s *sink) Write(b []byte) (int, error) { s.size += len(b); return len(b), nil }

// replay is a request that can be sent again and again.
type replay struct {
	request *http.Request
	body    *bytes.Reader
	content []byte
	sink    sink
}

func newReplay(path, content string) *replay {
	p := &replay{content: []byte(content), body: bytes.NewReader(nil), sink: sink{header: http.Header{}}}
	p.request, _ = http.NewRequest(http.MethodPost, path, nil) //nolint:noctx // it is never sent
	p.request.Header.Set("Content-Type", "application/json")
	p.request.Body = io.NopCloser(p.body)
	p.request.ContentLength = int64(len(content))
	return p
}

func (p *replay) send(h http.Handler) {
	p.body.Reset(p.content)
	h.ServeHTTP(&p.sink, p.request)
}

func loaded(t testing.TB, path string) http.Handler {
	t.Helper()
	s, err := server.New(t.Context(), server.Options{Config: settings(t, path)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}

const maxAllocs = 0

// TestPredictAllocatesNextToNothing keeps the whole way of a prediction, from gin's router to the written answer, at
// maxAllocs allocations. net/http's own, for the request and its headers, come on top.
func TestPredictAllocatesNextToNothing(t *testing.T) {
	for name, path := range map[string]string{
		"logistic": iris, "forest": "../../test/testdata/iris-v1.1.0.pkl",
	} {
		h, p := loaded(t, path), newReplay("/predict", `{"x":[5.1,3.5,1.4,0.2]}`)
		n := testing.AllocsPerRun(500, func() { p.send(h) })
		if p.sink.code != http.StatusOK {
			t.Fatalf("%s: %d", name, p.sink.code)
		}
		t.Logf("%s: %v allocations", name, n)
		if n > maxAllocs && !raceDetector {
			t.Errorf("%s: %v allocations for a prediction: want at most %d", name, n, maxAllocs)
		}
	}
}

func BenchmarkPredict(b *testing.B) {
	for name, path := range map[string]string{
		"logistic": iris, "forest": "../../test/testdata/iris-v1.1.0.pkl",
	} {
		b.Run(name, func(b *testing.B) {
			h, p := loaded(b, path), newReplay("/predict", `{"x":[5.1,3.5,1.4,0.2]}`)
			b.ReportAllocs()
			for b.Loop() {
				p.send(h)
			}
		})
	}
}

func BenchmarkInfer(b *testing.B) {
	h := loaded(b, iris)
	p := newReplay("/v2/models/iris/infer",
		`{"inputs":[{"name":"x","datatype":"FP64","shape":[1,4],"data":[5.1,3.5,1.4,0.2]}]}`)
	b.ReportAllocs()
	for b.Loop() {
		p.send(h)
	}
	if p.sink.code != http.StatusOK {
		b.Fatal(p.sink.code)
	}
}
