package auth

import "github.com/prometheus/client_golang/prometheus"

// Collectors returns the metrics of sign-ins with a password.
func (a *Auth) Collectors() []prometheus.Collector { return a.signIns.SignIns("password") }
