// Package tenants manages tenants. Superusers create, change, suspend and delete tenants;
// administrators of a tenant read and change their own tenant.
//
// The objects of a tenant belong to the packages of the other features.
package tenants
