package server

import (
	"maps"
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
	"tenantry/internal/auth"
	"tenantry/internal/cache"
	"tenantry/internal/database"
	"tenantry/internal/httpapi"
	"tenantry/internal/oauth"
	"tenantry/internal/outcomes"
	"tenantry/internal/password"
	"tenantry/internal/sessions"
)

// The kinds of unforeseen errors.
const (
	mistakeEdge  = "edge_not_loaded"
	mistakeOther = "other"
)

// metrics are the figures that operators watch.
type metrics struct {
	registry   *prometheus.Registry
	duration   *prometheus.HistogramVec
	statements *prometheus.CounterVec
	jobs       *prometheus.CounterVec
	removed    *prometheus.CounterVec
	rows       *prometheus.GaugeVec
	expired    *prometheus.GaugeVec
	hashWait   *prometheus.HistogramVec
	mistakes   *prometheus.CounterVec
}

func newMetrics(db *database.DB, c *cache.Cache, hasher *password.Hasher, signIn *auth.Auth,
	signedIn *sessions.Sessions, providers *oauth.OAuth) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tenantry_request_duration_seconds",
			Help:    "Time of requests, by operation of the contract and status.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"operation", "status"}),
		statements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_request_statements_total", Help: "SQL statements of requests, by operation.",
		}, []string{"operation"}),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_job_runs_total", Help: "Runs of what no request waits for, by name and outcome.",
		}, []string{"name", "outcome"}), // Prometheus has another use for the label "job"
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_expired_rows_removed_total",
			Help: "Rows that were deleted because they had expired, by table.",
		}, []string{"table"}),
		rows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tenantry_short_lived_rows",
			Help: "Rows of tables whose rows live for minutes, after the last removal.",
		}, []string{"table"}),
		expired: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tenantry_expired_rows",
			Help: "Rows that have expired and wait to be removed, up to 10,000, as counted before each removal.",
		}, []string{"table"}),
		hashWait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tenantry_password_hash_wait_seconds",
			Help:    "Time that passwords waited to be hashed: for admission, and for the turn of each hash.",
			Buckets: []float64{.0001, .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"stage"}),
		mistakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_unforeseen_errors_total",
			Help: "Errors that were answered with a bare 500: edges that were read without being loaded, and others.",
		}, []string{"kind"}),
	}
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help,
			ConstLabels: labels}, value))
	}
	m.registry.MustRegister(m.duration, m.statements, m.jobs, m.removed, m.rows, m.expired, m.hashWait, m.mistakes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(db.SQL, "tenantry"))
	for kind := range c.Stats() {
		const hits = "Values that were remembered, by kind, and by this process or in Redis."
		counter("tenantry_cache_hits_total", hits, prometheus.Labels{"kind": kind.String(), "tier": "redis"},
			func() float64 { return float64(c.Stats()[kind].Shared) })
		counter("tenantry_cache_hits_total", hits, prometheus.Labels{"kind": kind.String(), "tier": "process"},
			func() float64 { return float64(c.Stats()[kind].Hits) })
		counter("tenantry_cache_misses_total", "Values that had to be loaded, by kind.",
			prometheus.Labels{"kind": kind.String()},
			func() float64 { return float64(c.Stats()[kind].Misses) })
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantry_build_info", Help: "1, with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": Version(), "go_version": runtime.Version()},
	}, func() float64 { return 1 }))
	// The first increase is seen as one only where there was a 0 before.
	for _, kind := range []string{mistakeEdge, mistakeOther} {
		m.mistakes.WithLabelValues(kind)
	}
	for _, stage := range []string{password.StageAdmission, password.StageTurn} {
		m.hashWait.WithLabelValues(stage)
	}
	for _, table := range expiringTables() {
		m.removed.WithLabelValues(table)
	}
	counter("tenantry_cache_changes_total", "Invalidations and writes of this instance.", nil, func() float64 {
		return float64(c.Changes())
	})
	gauge("tenantry_cache_behind_seconds",
		"Age of the last read of the change log that covers every write of this instance.", func() float64 {
			return c.Behind().Seconds()
		})
	gauge("tenantry_cache_shares", "1 while the shared cache in Redis is used.", func() float64 {
		if c.Shares() {
			return 1
		}
		return 0
	})
	gauge("tenantry_password_hashes_waiting", "Requests that are admitted to hashing, or wait for it.", func() float64 {
		return float64(hasher.Waiting())
	})
	gauge("tenantry_password_hashes_running", "Password hashes that are computed now.", func() float64 {
		return float64(hasher.Running())
	})
	counter("tenantry_access_tokens_verified_total", "Access tokens whose signature was verified.", nil,
		func() float64 {
			return float64(signedIn.Verifications())
		})
	tally := func(name, help string, of outcomes.Counters, labels prometheus.Labels) {
		for outcome := range of {
			all := prometheus.Labels{"outcome": outcome}
			maps.Copy(all, labels)
			counter(name, help, all, func() float64 { return float64(of.Of(outcome)) })
		}
	}
	const signIns = "Sign-ins that have ended, by method and outcome."
	tally("tenantry_sign_ins_total", signIns, signIn.SignIns(), prometheus.Labels{"method": "password"})
	tally("tenantry_sign_ins_total", signIns, providers.SignIns(), prometheus.Labels{"method": "oauth"})
	tally("tenantry_refreshes_total", "Refreshes, by outcome.", signedIn.Refreshes(), nil)
	hasher.Report(func(stage string, wait time.Duration) { m.hashWait.WithLabelValues(stage).Observe(wait.Seconds()) })
	return m
}

// observe returns who records the requests of an operation that were answered.
func (m *metrics) observe(operation string) httpapi.Observer {
	counted := m.statements.WithLabelValues(operation)
	var durations sync.Map // prometheus.Observer by status
	return func(status int, took time.Duration, statements int64) {
		of, ok := durations.Load(status)
		if !ok {
			of, _ = durations.LoadOrStore(status, m.duration.WithLabelValues(operation, strconv.Itoa(status)))
		}
		of.(prometheus.Observer).Observe(took.Seconds()) //nolint:forcetypeassert // there is nothing else in it
		if statements > 0 {
			counted.Add(float64(statements))
		}
	}
}

// unforeseen counts an error that nothing was expected of.
func (m *metrics) unforeseen(err error) {
	kind := mistakeOther
	if ent.IsNotLoaded(err) {
		kind = mistakeEdge
	}
	m.mistakes.WithLabelValues(kind).Inc()
}

// handler serves operators: the figures, and profiles of the process.
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
