// Package roles is role-based access control inside a tenant: the catalogue of permissions, the
// roles, and who has them.
//
// Nobody grants, edits or takes more than they hold, and a tenant keeps an owner. Who a request
// acts for, and whether it holds what an operation demands, is decided in auth.
package roles
