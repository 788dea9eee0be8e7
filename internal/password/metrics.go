package password

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors returns the metrics of the hasher. It must be called before the first hash, at most
// once for each registry: wait times are recorded in the collectors of the last call.
func (h *Hasher) Collectors() []prometheus.Collector {
	wait := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tenantry_password_hash_wait_seconds",
		Help:    "Time that passwords waited to be hashed: for admission, and for the turn of each hash.",
		Buckets: []float64{.0001, .001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"stage"})
	// Prometheus sees a first increase only if the series has a 0 before it.
	for _, stage := range []string{StageAdmission, StageTurn} {
		wait.WithLabelValues(stage)
	}
	h.Report(func(stage string, waited time.Duration) { wait.WithLabelValues(stage).Observe(waited.Seconds()) })
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value()) })
	}
	return []prometheus.Collector{wait,
		gauge("tenantry_password_hashes_waiting", "Requests that are admitted to hashing, or wait for it.", h.Waiting),
		gauge("tenantry_password_hashes_running", "Password hashes that are computed now.", h.Running),
	}
}
