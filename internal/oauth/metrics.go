package oauth

import "github.com/prometheus/client_golang/prometheus"

// Collectors returns the metrics of sign-ins at providers. A sign-in that has issued a one-time
// code is counted when the code is exchanged.
func (o *OAuth) Collectors() []prometheus.Collector { return o.signIns.SignIns("oauth") }
