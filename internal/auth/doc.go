// Package auth has the ways to sign in: registration, passwords, one-time codes and known devices.
// Every one ends in Finish, which creates the session.
//
//	Register, Login, provider → Proof → Finish → session → access token + refresh token
//
// Package sessions owns sessions and tokens. This package does not know the administration of
// users, roles and tenants.
package auth
