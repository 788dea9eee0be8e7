// Package users manages the users of a tenant: it reads, lists, creates, changes and deletes them.
//
// It does not know how users sign in. Package sessions authenticates the caller.
package users
