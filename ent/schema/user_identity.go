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

// UserIdentity is an identity of a user at an OAuth provider: with it the user signs in. A user has
// any number of identities, at most one per provider.
//
// oauth_provider and oauth_id of the user are the primary identity, and are empty only for a user
// without identities. Triggers keep both sides equal, so that the previous version, which knows the
// primary identity alone, may run beside this one:
//   - an identity becomes the primary one of a user without any,
//   - when the primary identity is deleted, the oldest remaining one replaces it,
//   - a statement that changes the primary identity deletes the old identity and creates the new
//     one; a statement that also raises password_version deletes all other identities, as it
//     revokes all sessions,
//   - when a provider of a tenant is deleted, its identities are.
type UserIdentity struct{ ent.Schema }

// Annotations of the UserIdentity.
func (UserIdentity) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("user_identities")}
}

// Mixin of the UserIdentity.
func (UserIdentity) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the UserIdentity.
func (UserIdentity) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		// The ID of a provider of the tenant; or the name of a provider of the server, a colon and
		// a hash of its issuer.
		field.String("provider").NotEmpty().MaxLen(64).Immutable(),
		field.String("subject").NotEmpty().MaxLen(255).Immutable(),
		// What proved that the identity is the user's. registration: the identity created the user.
		// email: the provider and the user had verified the same address, or the provider alone,
		// and the account was reset. session: the signed-in user linked it. unknown: it was linked
		// by a version that did not store the proof.
		field.Enum("verified_by").Values("registration", "email", "session", "unknown").Default("unknown").Immutable(),
	}
}

// Edges of the UserIdentity.
func (UserIdentity) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("user", User.Type).Field("user_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the UserIdentity.
func (UserIdentity) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "provider", "subject").Unique().StorageKey("idx_user_identity_subject"),
		index.Fields("user_id", "provider").Unique().StorageKey("idx_user_identity_user"),
	}
}

// Policy of the UserIdentity: its user must belong to its tenant.
func (UserIdentity) Policy() ent.Policy {
	return privacy.Policy{
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(ownUser(), ent.OpCreate),
		},
	}
}
