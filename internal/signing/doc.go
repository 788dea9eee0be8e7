// Package signing owns the keys that sign and verify access tokens, and publishes them.
//
//	pending (published) → active (signs) → retiring (verifies) → deleted
//
// The keys are stored in the database, private parts encrypted, and shared by all instances. Each
// instance publishes, activates and deletes keys when they are due. The package does not know the
// claims of tokens, or users.
package signing
