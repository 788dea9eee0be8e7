// Package outcomes counts how attempts to sign in and refreshes have ended, in the words of the
// metrics.
package outcomes
