// Package outcomes counts the outcomes of sign-ins and refreshes, under the names of the metrics.
package outcomes
