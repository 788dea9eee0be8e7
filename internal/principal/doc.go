// Package principal identifies the user that a context acts for, with tenant and permissions. The
// context carries the principal from the verified token to the policy of every table.
//
// It knows nothing of tokens, HTTP or the database.
package principal
