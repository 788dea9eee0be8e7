// Package auth is how people prove who they are and stay signed in: passwords, access tokens, sessions and the keys that
// sign.
//
//	password → Login → session (one row) → access token + refresh token
//	access token → Authenticate (signature and claims) → Authorize (projection: session, user, tenant, permissions)
//	refresh token → Refresh (one compare-and-set) → their successors
//
// It knows nothing of the administration of users, roles and tenants.
package auth
