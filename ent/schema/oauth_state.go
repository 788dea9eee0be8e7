package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"tenantry/ent/privacy"
)

// OAuthState is one flow at an OAuth provider, for a sign-in or a link, from authorize to callback.
// It completes once; for a minute after that the same browser gets the same outcome.
type OAuthState struct{ ent.Schema }

// Annotations of the OAuthState.
func (OAuthState) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("oauth_states")}
}

// Mixin of the OAuthState.
func (OAuthState) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the OAuthState.
func (OAuthState) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("state_hash").MinLen(32).MaxLen(32).Unique().Immutable().Sensitive(),
		// The name of a provider of the server, or the ID of a provider of the tenant.
		field.String("provider").NotEmpty().MaxLen(64).Immutable(),
		// The generation of the tenant's provider when the flow began. A change of the provider that
		// revokes flows increments it.
		field.Int("provider_generation").Default(0).Immutable(),
		// Set when a signed-in user links an identity.
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		// The session of that user. The flow is revoked with the session.
		field.UUID("session_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		// The PKCE verifier that the server sends to the provider, of 43 to 128 characters (RFC 7636
		// §4.1).
		field.String("code_verifier").MinLen(43).MaxLen(128).Immutable().Sensitive(),
		field.String("nonce").NotEmpty().MaxLen(128).Immutable().Sensitive(),
		// SHA-256 of the cookie that binds the state to the browser (RFC 9700 §4.7).
		field.Bytes("browser_hash").MinLen(32).MaxLen(32).Immutable().Sensitive(),
		field.String("redirect_uri").Default("").MaxLen(2048).Immutable(),
		// The PKCE challenge of the client. The server verifies it when the client exchanges the
		// server's one-time code (RFC 7636 §4.2, S256).
		field.String("code_challenge").Default("").MaxLen(43).Immutable(),
		// The number of callbacks. The first completes the flow; later ones wait for its outcome.
		field.Int("callbacks").Default(0),
		// The outcome in JSON; empty until the flow completes. It contains no code and no token.
		field.String("outcome").Default("").MaxLen(4096).Sensitive(),
		field.Time("expires_at").Immutable(),
	}
}

// Edges of the OAuthState.
func (OAuthState) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("user", User.Type).Field("user_id").Unique().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the OAuthState.
func (OAuthState) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("expires_at").StorageKey("idx_oauth_state_expires"),
		index.Fields("provider").StorageKey("idx_oauth_state_provider"),
		index.Fields("user_id").StorageKey("idx_oauth_state_user"),
	}
}

// Policy of the OAuthState: its user must belong to its tenant.
func (OAuthState) Policy() ent.Policy {
	return privacy.Policy{
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(ownUser(), ent.OpCreate),
		},
	}
}
