// Package ratelimit counts attempts of strangers, and refuses those that are too many.
//
//	Spend… (one statement counts and decides) → Attempt, or 429 with Retry-After → Reset, Refund, or neither
//
// Attempts at a password are counted per client network, account and network of an account.
// Sign-ins at providers and registrations are counted per client network and tenant. The counters
// are rows of the database, so that every instance counts the same. The package does not know
// passwords, users or sessions: the caller names what an attempt counts against.
package ratelimit
