package apitest

import (
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/internal/principal"
)

// ChangeSettings changes the settings of a tenant in the database, past the API.
func (s *Instance) ChangeSettings(slug string, change func(*settings.Tenant)) {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	home := s.DB.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
	change(&home.Settings)
	s.DB.Client.Tenant.UpdateOne(home).SetSettings(home.Settings).ExecX(ctx)
}

// OpenToProviders lets every user register or link by a provider, and redirects to the application.
func OpenToProviders(t *settings.Tenant) {
	t.Registration, t.LinkByEmail, t.RedirectURIs = settings.RegistrationOpen, true, []string{ApplicationURL}
}
