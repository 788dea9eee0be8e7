// Package tenants is the customers of the platform: making, changing, suspending and deleting them,
// for superusers, and the own tenant, for its administrators.
//
// What happens inside a tenant is the other features' business.
package tenants
