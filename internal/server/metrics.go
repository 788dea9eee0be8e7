package server

import (
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tenantry/ent"
	"tenantry/internal/httpapi"
)

// The kinds of unexpected errors.
const (
	kindEdge  = "edge_not_loaded"
	kindOther = "other"
)

// metrics are the metrics of requests and of jobs, and the registry of all metrics.
type metrics struct {
	registry   *prometheus.Registry
	duration   *prometheus.HistogramVec
	statements *prometheus.CounterVec
	jobs       *prometheus.CounterVec
	removed    *prometheus.CounterVec
	rows       *prometheus.GaugeVec
	expired    *prometheus.GaugeVec
	unexpected *prometheus.CounterVec
}

// source is a part of the server that has metrics of its own.
type source interface{ Collectors() []prometheus.Collector }

func newMetrics(sources ...source) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tenantry_request_duration_seconds",
			Help:    "Time of requests, by operation of the contract and status.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"operation", "status"}),
		statements: newCounter("tenantry_request_statements_total", "SQL statements of requests, by operation.",
			"operation"),
		// The label is not "job", which Prometheus sets itself.
		jobs: newCounter("tenantry_job_runs_total", "Runs of background jobs, by name and outcome.", "name", "outcome"),
		removed: newCounter("tenantry_expired_rows_removed_total",
			"Rows that were deleted because they had expired, by table.", "table"),
		rows: newGauge("tenantry_short_lived_rows",
			"Rows of tables whose rows expire within minutes, after the last removal.", "table"),
		expired: newGauge("tenantry_expired_rows",
			"Rows that have expired and wait to be removed, up to 10,000, as counted before each removal.", "table"),
		unexpected: newCounter("tenantry_unforeseen_errors_total",
			"Unexpected errors, answered with 500: edges that were read without being loaded, and others.", "kind"),
	}
	m.registry.MustRegister(m.duration, m.statements, m.jobs, m.removed, m.rows, m.expired, m.unexpected,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	// Prometheus sees a first increase only if the series has a 0 before it.
	for _, kind := range []string{kindEdge, kindOther} {
		m.unexpected.WithLabelValues(kind)
	}
	for _, table := range expiringTables() {
		m.removed.WithLabelValues(table)
	}
	for _, s := range sources {
		m.registry.MustRegister(s.Collectors()...)
	}
	return m
}

func newCounter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func newGauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantry_build_info", Help: "1, with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": Version(), "go_version": runtime.Version()},
	}, func() float64 { return 1 })
}

// observe returns the function that records the answered requests of an operation.
func (m *metrics) observe(operation string) httpapi.Observer {
	total := m.statements.WithLabelValues(operation)
	var durations sync.Map // prometheus.Observer by status
	return func(status int, took time.Duration, statements int64) {
		of, ok := durations.Load(status)
		if !ok {
			of, _ = durations.LoadOrStore(status, m.duration.WithLabelValues(operation, strconv.Itoa(status)))
		}
		of.(prometheus.Observer).Observe(took.Seconds()) //nolint:forcetypeassert // the only type that is stored
		if statements > 0 {
			total.Add(float64(statements))
		}
	}
}

// unforeseen counts an unexpected error.
func (m *metrics) unforeseen(err error) {
	kind := kindOther
	if ent.IsNotLoaded(err) {
		kind = kindEdge
	}
	m.unexpected.WithLabelValues(kind).Inc()
}

// handler serves the metrics, and profiles of the process.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
