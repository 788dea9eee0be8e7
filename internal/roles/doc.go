// Package roles is role-based access control in a tenant: the catalogue of permissions, the roles,
// and their assignments to users.
//
// A caller cannot grant or revoke permissions that the caller lacks, and a tenant keeps an active
// owner. Package sessions authenticates the caller and checks the permissions of an operation.
package roles
