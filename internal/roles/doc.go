// Package roles is role-based access control inside a tenant: the catalogue of permissions and the system roles that every
// tenant has.
//
// Who a request acts for, and whether it holds a permission, is decided in auth.
package roles
