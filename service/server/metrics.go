package server

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirhq/weir/service/config"
)

// counter is a prometheus.Counter, or a stand-in.
type counter interface{ Inc() }

// metrics are the server's numbers. All carry the labels model and release; requests are those to /predict.
type metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	byCode      map[int]prometheus.Counter
	latency     prometheus.Histogram
	inFlight    prometheus.Gauge
	predictions *prometheus.CounterVec
	info        *prometheus.GaugeVec
	ready       prometheus.Gauge
}

// codes are all that /predict answers.
var codes = []int{
	http.StatusOK, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInternalServerError,
	http.StatusServiceUnavailable,
}

// buckets of the latency histogram, in seconds: from 50 µs, which one row takes, to 10 s.
var buckets = []float64{
	.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
}

func newMetrics(c config.Config) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_requests_total", Help: "Prediction requests answered, by HTTP status code.",
		}, []string{"code"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_request_duration_seconds", Help: "Time to answer a prediction request.", Buckets: buckets,
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_requests_in_flight", Help: "Prediction requests being answered.",
		}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_predictions_total", Help: "Rows answered, by predicted class (classifiers).",
		}, []string{"class"}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_model_info", Help: "1, with what the loaded model is.",
		}, []string{"version", "digest", "color"}),
		ready:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_model_loaded", Help: "1 once the model is loaded."}),
		byCode: map[int]prometheus.Counter{},
	}
	labels := prometheus.Labels{"model": c.ModelName, "release": c.ModelRelease}
	prometheus.WrapRegistererWith(labels, m.registry).MustRegister(
		m.requests, m.latency, m.inFlight, m.predictions, m.info, m.ready,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, code := range codes {
		m.byCode[code] = m.requests.WithLabelValues(strconv.Itoa(code))
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) count(code int) {
	if c := m.byCode[code]; c != nil {
		c.Inc()
		return
	}
	m.requests.WithLabelValues(strconv.Itoa(code)).Inc()
}

func (m *metrics) observe(code int, took time.Duration) {
	m.count(code)
	m.latency.Observe(took.Seconds())
}

// maxClasses is the number of classes that have a counter of their own; the rest share the class "(other)".
const maxClasses = 100

// classes returns a counter for each class.
func (m *metrics) classes(labels []any) []counter {
	out := make([]counter, len(labels))
	for i, label := range labels {
		if i < maxClasses {
			out[i] = m.predictions.WithLabelValues(className(label))
		} else {
			out[i] = m.predictions.WithLabelValues("(other)")
		}
	}
	return out
}

func className(label any) string {
	s := strings.ToValidUTF8(fmt.Sprint(label), "\uFFFD") // Prometheus panics at other text
	if runes := []rune(s); len(runes) > 64 {
		s = string(runes[:64]) + "…"
	}
	return s
}

func (m *metrics) loaded(c config.Config, digest string) {
	m.info.WithLabelValues(c.ModelVersion, digest, c.ModelColor).Set(1)
	m.ready.Set(1)
}
