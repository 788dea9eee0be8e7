package database

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Collectors returns the metrics of the connection pool.
func (db *DB) Collectors() []prometheus.Collector {
	return []prometheus.Collector{collectors.NewDBStatsCollector(db.SQL, "tenantry")}
}
