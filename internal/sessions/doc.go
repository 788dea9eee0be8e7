// Package sessions keeps users signed in: sessions, refresh tokens, access tokens and their
// revocation.
//
//	Start → session (one row) → access token + refresh token
//	access token → Authenticate (signature and claims) → Authorize (projection)
//	refresh token → Refresh (one compare-and-set) → their successors
//
// The projection is the user with their session, tenant and permissions: all that a request needs to
// be authorised. A session is revoked by its row, by the password version of its user, or by its provider. The
// package does not know how a user has proved their identity: package auth does, and starts the
// session.
package sessions
