// Package users is people in a tenant: reading and changing them.
//
// It does not know how they sign in; who is signed in comes from auth.
package users
