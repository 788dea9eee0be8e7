package roles

// Permission is a `resource:action` string. It is compared exactly: no prefix, wildcard or case slips through.
type Permission = string

// The catalogue. An operation of the contract names what it demands; a role holds any of these.
const (
	UsersRead     Permission = "users:read"
	UsersWrite    Permission = "users:write"
	RolesRead     Permission = "roles:read"
	RolesWrite    Permission = "roles:write"
	TenantRead    Permission = "tenant:read"
	TenantWrite   Permission = "tenant:write"
	SessionsRead  Permission = "sessions:read"
	SessionsWrite Permission = "sessions:write"
)

// Catalogue returns every permission there is.
func Catalogue() []Permission {
	return []Permission{UsersRead, UsersWrite, RolesRead, RolesWrite, TenantRead, TenantWrite, SessionsRead, SessionsWrite}
}
