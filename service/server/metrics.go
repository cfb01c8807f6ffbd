package server

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/model"
)

// metrics are the server's numbers. All carry the labels model and release; requests are those for predictions.
type metrics struct {
	registry    *prometheus.Registry
	labelled    prometheus.Registerer // with the labels of all
	requests    *prometheus.CounterVec
	answered    [kinds]prometheus.Counter // by code
	errors      [kinds]prometheus.Counter
	latency     prometheus.Histogram
	batch       prometheus.Histogram
	predictions *prometheus.CounterVec
	firsts      *prometheus.CounterVec
	info        *prometheus.GaugeVec
	ready       prometheus.Gauge
}

// buckets of the latency histogram, in seconds: from 50 µs, which one row takes, to 10 s. Two releases are compared by
// them, so each is at most 1.5 times the one before where most latencies are.
var buckets = []float64{
	.00005, .0001, .0002, .00035, .0005, .0007, .001, .0014, .002, .0028, .004, .0056, .008, .011, .016, .022, .032, .045,
	.063, .09, .125, .175, .25, .35, .5, .7, 1, 1.4, 2, 2.8, 4, 5, 7, 10,
}

func newMetrics(c config.Config, inFlight func() float64) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_requests_total", Help: "Prediction requests answered, by HTTP status code.",
		}, []string{"code"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_request_duration_seconds", Help: "Time to answer a prediction request.", Buckets: buckets,
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_request_rows", Help: "Rows of an answered request.", Buckets: prometheus.ExponentialBuckets(1, 2, 15),
		}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_predictions_total", Help: "Rows answered, by output and predicted class (classifiers).",
		}, []string{"output", "class"}),
		firsts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_request_classes_total", Help: "Requests answered, by the class of the first row (classifiers).",
		}, []string{"class"}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_model_info", Help: "1, with what the loaded model is.",
		}, []string{"version", "digest", "color", "class", "sklearn"}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_model_loaded", Help: "1 once the model is loaded."}),
	}
	errs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_errors_total", Help: "Prediction requests that were refused or failed, by reason.",
	}, []string{"kind"})
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_requests_in_flight", Help: "Prediction requests being answered.",
	}, inFlight)
	labels := prometheus.Labels{"model": c.ModelName, "release": c.ModelRelease}
	m.labelled = prometheus.WrapRegistererWith(labels, m.registry)
	m.labelled.MustRegister(m.requests, errs, m.latency, m.batch, running, m.predictions, m.firsts, m.info, m.ready,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for k := range kinds {
		m.answered[k] = m.requests.WithLabelValues(strconv.Itoa(k.code()))
		if k != none {
			m.errors[k] = errs.WithLabelValues(k.String())
		}
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// count counts a request that ended so.
func (m *metrics) count(k kind) {
	m.answered[k].Inc()
	if k != none {
		m.errors[k].Inc()
	}
}

// maxClasses is the number of classes that have a counter of their own; the rest share the class "(other)".
const maxClasses = 100

// maxCounted is the number of outputs whose predictions are counted.
const maxCounted = 8

// classCounters count what a classifier says.
type classCounters struct {
	rows     [][]prometheus.Counter // by output and class
	requests []prometheus.Counter   // by the class of the first row's first output
}

// classes makes the counters for the classes of each output.
func (m *metrics) classes(outputs [][]any) (c classCounters) {
	c.rows = make([][]prometheus.Counter, min(len(outputs), maxCounted))
	for o := range c.rows {
		for i, label := range outputs[o] {
			name := "(other)"
			if i < maxClasses {
				name = className(label)
			}
			c.rows[o] = append(c.rows[o], m.predictions.WithLabelValues(strconv.Itoa(o), name))
			if o == 0 {
				c.requests = append(c.requests, m.firsts.WithLabelValues(name))
			}
		}
	}
	return c
}

func className(label any) string {
	s := strings.ToValidUTF8(fmt.Sprint(label), "\uFFFD") // Prometheus panics at other text
	if runes := []rune(s); len(runes) > 64 {
		s = string(runes[:64]) + "…"
	}
	return s
}

func (m *metrics) loaded(c config.Config, digest string, v *model.Model) {
	m.info.WithLabelValues(c.ModelVersion, digest, c.ModelColor, v.Class, className(v.Sklearn)).Set(1)
	m.ready.Set(1)
}
