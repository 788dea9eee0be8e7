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

// RoleAssignment assigns a role to a user. It is an entity instead of a join table, so that it has
// a tenant, and a role of one tenant cannot be assigned to a user of another.
type RoleAssignment struct{ ent.Schema }

// Annotations of the RoleAssignment.
func (RoleAssignment) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("user_roles"), field.ID("user_id", "role_id")}
}

// Mixin of the RoleAssignment.
func (RoleAssignment) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, TimeMixin{}}
}

// Fields of the RoleAssignment.
func (RoleAssignment) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.UUID("role_id", uuid.UUID{}).Immutable(),
	}
}

// Edges of the RoleAssignment.
func (RoleAssignment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("user", User.Type).Field("user_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("role", Role.Type).Field("role_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the RoleAssignment.
func (RoleAssignment) Indexes() []ent.Index {
	return []ent.Index{
		// Keyset pages of the users with a role.
		index.Fields("role_id", "user_id").StorageKey("idx_user_role_role_user"),
	}
}

// Policy of the RoleAssignment: user and role must belong to its tenant.
func (RoleAssignment) Policy() ent.Policy {
	return privacy.Policy{
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(sameTenant(), ent.OpCreate),
		},
	}
}
