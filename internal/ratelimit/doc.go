// Package ratelimit counts unauthenticated attempts, and refuses them beyond a limit.
//
//	Spend… (one statement counts and decides) → Attempt, or 429 with Retry-After → Reset, Refund, or neither
//
// Attempts at a password are counted per client network, account and network of an account.
// Sign-ins at providers and registrations are counted per client network and tenant. The counters
// are rows of the database, so that every instance counts the same. The package does not know
// passwords, users or sessions: the caller names the account and the address.
package ratelimit
