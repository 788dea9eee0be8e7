package outcomes

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors returns a metric with the counters, which have the outcome and the constant labels.
func (c Counters) Collectors(name, help string, labels prometheus.Labels) []prometheus.Collector {
	all := make([]prometheus.Collector, 0, len(c))
	for outcome := range c {
		with := prometheus.Labels{"outcome": outcome}
		maps.Copy(with, labels)
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: with},
			func() float64 { return float64(c.Of(outcome)) }))
	}
	return all
}

// SignIns returns the metric of sign-ins with a method.
func (c Counters) SignIns(method string) []prometheus.Collector {
	return c.Collectors("tenantry_sign_ins_total", "Sign-ins that have ended, by method and outcome.",
		prometheus.Labels{"method": method})
}
