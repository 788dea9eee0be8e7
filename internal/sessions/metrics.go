package sessions

import "github.com/prometheus/client_golang/prometheus"

// Collectors returns the metrics of refreshes and of access tokens.
func (s *Sessions) Collectors() []prometheus.Collector {
	return append(s.refreshes.Collectors("tenantry_refreshes_total", "Refreshes, by outcome.", nil),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenantry_access_tokens_verified_total",
			Help: "Access tokens whose signature was verified.",
		}, func() float64 { return float64(s.Verifications()) }))
}
