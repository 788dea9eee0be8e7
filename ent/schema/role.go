package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Role is a named set of permissions of one tenant (RBAC).
type Role struct{ ent.Schema }

// Annotations of the Role.
func (Role) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("roles")}
}

// Mixin of the Role.
func (Role) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the Role.
func (Role) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").NotEmpty().MaxRuneLen(64),
		field.String("description").Default("").MaxRuneLen(500),
		field.Strings("permissions").Default([]string{}),
		field.Bool("is_system").Default(false).Immutable(),
	}
}

// Edges of the Role.
func (Role) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("users", User.Type).Ref("roles").Through("role_assignments", RoleAssignment.Type),
	}
}

// Hooks of the Role: names are distinct, and both texts are visible.
func (Role) Hooks() []ent.Hook {
	return []ent.Hook{distinctRoleName(), cleanText("description")}
}

// Indexes of the Role.
func (Role) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "name").Unique().StorageKey("idx_role_tenant_name"),
	}
}
