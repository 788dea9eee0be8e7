// Package signing owns the keys that sign and verify access tokens, and publishes them.
//
//	pending (published) → active (signs) → retiring (verifies) → deleted
//
// Keys live in the database, private parts encrypted, so that every instance has the same; each
// instance does what is due. The package does not know what a token says, or for whom it speaks.
package signing
