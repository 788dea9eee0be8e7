// Package users is people in a tenant: reading, listing, making and changing them.
//
// It does not know how they sign in; who is signed in comes from auth.
package users
