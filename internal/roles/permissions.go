package roles

import "slices"

// Permission is a `resource:action` string. It is compared exactly, without prefixes, wildcards or
// case folding.
type Permission = string

// The permissions that a role may have. An operation of the contract names the one that it
// requires.
const (
	UsersRead      Permission = "users:read"
	UsersWrite     Permission = "users:write"
	RolesRead      Permission = "roles:read"
	RolesWrite     Permission = "roles:write"
	TenantRead     Permission = "tenant:read"
	TenantWrite    Permission = "tenant:write"
	SessionsRead   Permission = "sessions:read"
	SessionsWrite  Permission = "sessions:write"
	ProvidersRead  Permission = "oauth-providers:read"
	ProvidersWrite Permission = "oauth-providers:write"
)

// The permissions of the platform. Superusers have them; no role can.
const (
	TenantsRead  Permission = "tenants:read"
	TenantsWrite Permission = "tenants:write"
)

// Entry is a permission of the catalogue.
type Entry struct {
	Name        Permission
	Description string
}

// Catalogue returns the permissions that a role may have.
func Catalogue() []Entry {
	return []Entry{
		{UsersRead, "Read the users of the tenant and their roles"},
		{UsersWrite, "Create, change and delete users, and give them roles"},
		{RolesRead, "Read the roles of the tenant"},
		{RolesWrite, "Create, change and delete roles"},
		{TenantRead, "Read the tenant and its settings"},
		{TenantWrite, "Change the tenant and its settings"},
		{SessionsRead, "Read the sessions of users"},
		{SessionsWrite, "End the sessions of users"},
		{ProvidersRead, "Read the OAuth providers of the tenant"},
		{ProvidersWrite, "Set up, change and delete OAuth providers"},
	}
}

// All returns the names of the catalogue.
func All() []Permission {
	var names []Permission
	for _, e := range Catalogue() {
		names = append(names, e.Name)
	}
	return names
}

// assignable reports whether a role may have the permission.
func assignable(p Permission) bool { return slices.Contains(All(), p) }

// exists reports whether the permission exists: superusers have all that exist, and no others.
func exists(p Permission) bool { return assignable(p) || p == TenantsRead || p == TenantsWrite }
