package cache

import "github.com/prometheus/client_golang/prometheus"

// Collectors returns the metrics of the cache.
func (c *Cache) Collectors() []prometheus.Collector {
	counter := func(name, help string, labels prometheus.Labels, value func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) })
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	all := []prometheus.Collector{
		counter("tenantry_cache_changes_total", "Invalidations and writes of this instance.", nil, c.Changes),
		gauge("tenantry_cache_behind_seconds",
			"Age of the last read of the change log that covers every write of this instance.",
			func() float64 { return c.Behind().Seconds() }),
		gauge("tenantry_cache_shares", "1 while the shared cache in Redis is used.", func() float64 {
			if c.Shares() {
				return 1
			}
			return 0
		}),
	}
	const hits = "Cache hits, by kind and by tier: this process or Redis."
	for kind := range kinds {
		of := kind.String()
		all = append(all,
			counter("tenantry_cache_hits_total", hits, prometheus.Labels{"kind": of, "tier": "redis"},
				c.stats[kind].shared.Load),
			counter("tenantry_cache_hits_total", hits, prometheus.Labels{"kind": of, "tier": "process"},
				c.stats[kind].hits.Load),
			counter("tenantry_cache_misses_total", "Cache misses, by kind.", prometheus.Labels{"kind": of},
				c.stats[kind].misses.Load))
	}
	return all
}
