// Package outcomes counts sign-ins and refreshes by outcome, and exports the counters as metrics.
package outcomes
