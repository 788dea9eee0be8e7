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

// RefreshToken is one session. A rotation keeps the row and increments counter, which identifies
// the current token. Nothing that a client could present is stored.
type RefreshToken struct{ ent.Schema }

// Annotations of the RefreshToken.
func (RefreshToken) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("refresh_tokens")}
}

// Mixin of the RefreshToken.
func (RefreshToken) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the RefreshToken.
func (RefreshToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.Int64("counter").Default(0).NonNegative(),
		field.Time("rotated_at").Default(now),
		// The password version of the user when the session began, or when the session itself
		// changed the password. The session is revoked when the user's version differs, marked or
		// not.
		field.Int("password_version").Default(0),
		// The provider of the tenant that started the session, and its generation at that time. The
		// session is revoked when the provider is deleted or disabled, or its generation differs,
		// marked or not. Both are empty for sessions of passwords and of the server's providers. A
		// foreign key would have to delete or change any number of sessions with their provider.
		field.UUID("provider_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.Int("provider_generation").Optional().Nillable().Immutable(),
		field.Bool("revoked").Default(false),
		field.Enum("revoked_reason").
			// session_limit: a later sign-in exceeded TENANTRY_SESSIONS_PER_USER. password_version:
			// the user's version was incremented, and a job, which does not know the reason, marked
			// the row. provider_removed: the provider of the tenant was deleted, disabled or given
			// another client.
			Values("logout", "reuse", "password_change", "user_inactive", "tenant_inactive", "administrator",
				"session_limit", "password_version", "provider_removed").
			Optional().Nillable(),
		field.Time("expires_at").Immutable(),
		// When the user proved who they are; created_at if it is empty, as in rows of the previous
		// version. amr are the authentication methods (RFC 8176).
		field.Time("authenticated_at").Optional().Nillable().Immutable(),
		field.JSON("amr", []string{}).Default([]string{}).Immutable().
			Annotations(entsql.Default("[]")),
		field.String("user_agent").Default("").MaxLen(255),
		field.String("ip").Default("").MaxLen(45),
	}
}

// Edges of the RefreshToken.
func (RefreshToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("refresh_tokens").Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of the RefreshToken.
func (RefreshToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "revoked").StorageKey("idx_refresh_token_user_revoked"),
		index.Fields("expires_at").StorageKey("idx_refresh_token_expires"),
		// Only the previous version reads this index; a later migration drops it.
		index.Fields("tenant_id", "ip").StorageKey("idx_refresh_token_tenant_ip"),
	}
}

// Policy of the RefreshToken: its user must belong to its tenant.
func (RefreshToken) Policy() ent.Policy {
	return privacy.Policy{
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(ownUser(), ent.OpCreate),
		},
	}
}
