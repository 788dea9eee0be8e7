package apitest

import (
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/internal/principal"
)

// ChangeSettings changes the settings of a tenant in the database, without the API.
func (s *Instance) ChangeSettings(slug string, change func(*settings.Tenant)) {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	t := s.DB.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
	change(&t.Settings)
	s.DB.Client.Tenant.UpdateOne(t).SetSettings(t.Settings).ExecX(ctx)
}

// OpenToProviders allows users to register and link through providers, with a redirect to the
// application.
func OpenToProviders(t *settings.Tenant) {
	t.Registration, t.LinkByEmail, t.RedirectURIs = settings.RegistrationOpen, true, []string{ApplicationURL}
}
