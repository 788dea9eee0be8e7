package apitest

import (
	"maps"
)

// MePath is the path of the caller's own user, ProvidersPath that of the OAuth providers of a
// tenant.
const (
	MePath        = "/api/v1/users/me"
	ProvidersPath = "/api/v1/oauth-providers"
)

// ProviderBody returns a valid provider, with members of more added or replaced.
func ProviderBody(name string, more map[string]any) map[string]any {
	p := map[string]any{"name": name, "kind": "oidc", "client_id": "acme", "client_secret": "a secret of the provider",
		"issuer": "https://id.example.com/realm"}
	maps.Copy(p, more)
	return p
}

// TenantBody returns a valid tenant and its owner.
func TenantBody(slug string) map[string]any {
	return map[string]any{"slug": slug, "name": "Tenant " + slug,
		"owner": map[string]any{"email": "owner@" + slug + ".test", "password": OwnerPassword}}
}
