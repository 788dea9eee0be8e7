package sessions

import (
	"net/http"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent/oauthprovider"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/problem"
)

// Provider is the provider of a tenant at which a user has signed in, and its generation at
// that time. The zero value is a sign-in that depends on no such provider.
type Provider struct {
	ID         uuid.NullUUID
	Generation int
}

// ErrProviderDisabled is the error of a sign-in at a provider that was disabled, deleted, replaced
// or given another client since (O-11).
var ErrProviderDisabled error = &problem.Problem{
	Status: http.StatusBadRequest, Code: "provider_disabled", Detail: "The provider does not sign anybody in any more.",
}

// generation returns what insertSession compares: -1 without a provider.
func (p Provider) generation() int {
	if !p.ID.Valid {
		return -1
	}
	return p.Generation
}

// ofLiveProvider is the condition that the provider of a session s exists, is enabled and has the
// generation of the session. It is a scalar subquery for the reason that userVersion gives, and is
// not run for a session without a provider.
const ofLiveProvider = `(s.provider_id IS NULL OR s.provider_generation = COALESCE((
	SELECT p.generation FROM oauth_providers AS p WHERE p.id = s.provider_id AND p.tenant_id = s.tenant_id AND p.enabled
), -1))`

// hasLiveProvider is ofLiveProvider for a statement of ent.
func hasLiveProvider(s *sql.Selector) *sql.Predicate {
	of := sql.Dialect(s.Dialect()).Select().From(sql.Table(oauthprovider.Table))
	of.Select(of.C(oauthprovider.FieldGeneration)).Where(sql.And(
		sql.ColumnsEQ(of.C(oauthprovider.FieldID), s.C(refreshtoken.FieldProviderID)),
		sql.ColumnsEQ(of.C(oauthprovider.FieldTenantID), s.C(refreshtoken.FieldTenantID)),
		sql.EQ(of.C(oauthprovider.FieldEnabled), true),
	))
	return sql.Or(sql.IsNull(s.C(refreshtoken.FieldProviderID)), sql.P(func(b *sql.Builder) {
		b.Ident(s.C(refreshtoken.FieldProviderGeneration)).WriteString(" = COALESCE(").
			Wrap(func(b *sql.Builder) { b.Join(of) }).WriteString(", -1)")
	}))
}
