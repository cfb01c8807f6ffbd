package edge

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descRequests = desc("weir_ingress_requests_total",
		"Requests by the release that was chosen for them and the status that the client got.", "model", "release", "code")
	descAttempts = desc("weir_ingress_attempts_total",
		"Attempts to have an instance of the release answer: answered, or how they failed.", "model", "release", "outcome")
	descAway = desc("weir_ingress_retried_away_total",
		"Requests for which the release was chosen and that an instance of another one answered.", "model", "release")
	descDraws = desc("weir_ingress_first_attempts_total",
		"First attempts of the requests that were drawn for the release under the newest epoch, at its own instances, by "+
			"status; 0: no answer, 499: the client went away.", "model", "release", "epoch", "code")
	descSeconds = desc("weir_ingress_request_duration_seconds",
		"Time of the requests, with all their attempts, by the release that was chosen.", "model", "release")
	descWeight  = desc("weir_ingress_weight", "Percent of the model's requests.", "model", "release")
	descEpoch   = desc("weir_ingress_epoch", "Epoch that nginx serves; no canary: 0.", "model", "side")
	descReloads = desc("weir_ingress_reloads_total", "Reloads of nginx.")
	descStale   = desc("weir_ingress_stale", "1 where the data from Consul are too old for canaries to get requests.")
	descAge     = desc("weir_ingress_consul_age_seconds", "Time since the data from Consul were proved fresh.")
	descBroken  = desc("weir_ingress_log_lines_unreadable_total", "Lines of nginx's log that could not be read.")
	descUnknown = desc("weir_ingress_requests_unmapped_total",
		"Requests of old workers whose configuration is not known any more.")
	descInfo  = desc("weir_ingress_info", "1, with the name under which the ingress is published in Consul.", "node")
	descStart = desc("process_start_time_seconds", "Start of the counting, in seconds since 1970.")
)

// collector shows the counts of one model, or of all for "".
type collector struct {
	counts *Counts
	model  string
	draws  bool // nothing but first attempts, which judges read again and again
}

// Describe sends nothing: which series there are is known when they are collected.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends all numbers of one moment.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	c.counts.mu.Lock()
	defer c.counts.mu.Unlock()
	gauge(ch, descInfo, 1, c.counts.node)
	gauge(ch, descStart, float64(c.counts.began.UnixMicro())/1e6)
	for s, t := range c.counts.series {
		if c.wants(s.model) {
			t.collectDraws(ch, s, c.counts.epochs[s.model].name)
			if !c.draws {
				t.collect(ch, s)
			}
		}
	}
	if !c.draws {
		c.serving(ch)
		c.process(ch)
	}
}

func (c collector) wants(model string) bool { return c.model == "" || c.model == model }

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, n uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (t *tally) collectDraws(ch chan<- prometheus.Metric, s series, epoch string) {
	for code, n := range t.draws {
		counter(ch, descDraws, n, s.model, s.release, epoch, strconv.Itoa(code))
	}
}

func (t *tally) collect(ch chan<- prometheus.Metric, s series) {
	total := uint64(0)
	for code, n := range t.codes {
		total += n
		counter(ch, descRequests, n, s.model, s.release, strconv.Itoa(code))
	}
	for kind, n := range t.attempts {
		counter(ch, descAttempts, n, s.model, s.release, kind)
	}
	counter(ch, descAway, t.away, s.model, s.release)
	upTo, below := map[float64]uint64{}, uint64(0)
	for i, edge := range edges {
		below += t.buckets[i]
		upTo[edge] = below
	}
	ch <- prometheus.MustNewConstHistogram(descSeconds, total, t.seconds, upTo, s.model, s.release)
}

// serving shows what nginx serves.
func (c collector) serving(ch chan<- prometheus.Metric) {
	for _, m := range c.counts.state.Site.Models {
		if !c.wants(m.Name) {
			continue
		}
		for _, share := range m.Shares {
			gauge(ch, descWeight, float64(share.Percent), m.Name, share.Release)
		}
		stable, canary, _ := strings.Cut(m.Epoch, "/")
		gauge(ch, descEpoch, number(stable), m.Name, "stable")
		gauge(ch, descEpoch, number(canary), m.Name, "canary")
	}
}

func number(epoch string) float64 {
	n, err := strconv.ParseUint(epoch, 10, 64)
	if err != nil {
		return 0 // "-": there is none
	}
	return float64(n)
}

// process shows how the ingress itself is.
func (c collector) process(ch chan<- prometheus.Metric) {
	s := c.counts.state
	stale := 0.0
	if s.Stale {
		stale = 1
	}
	gauge(ch, descStale, stale)
	if !s.Fresh.IsZero() {
		gauge(ch, descAge, time.Since(s.Fresh).Seconds())
	}
	counter(ch, descReloads, s.Reloads)
	counter(ch, descBroken, c.counts.broken)
	counter(ch, descUnknown, c.counts.unknown)
}
