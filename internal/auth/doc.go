// Package auth is how people prove who they are: registration, passwords, one-time codes and known
// devices.
//
//	password → Login → session → access token + refresh token
//
// What a sign-in gives, and how long it lasts, is for package sessions. The package knows nothing
// of the administration of users, roles and tenants.
package auth
