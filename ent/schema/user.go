package schema

import (
	"context"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"golang.org/x/text/cases"

	gen "tenantry/ent"
	"tenantry/ent/hook"
)

// User is an account in one tenant. The same person in two tenants is two users.
type User struct{ ent.Schema }

// Annotations of the User.
func (User) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("users")}
}

// Mixin of the User.
func (User) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the User.
func (User) Fields() []ent.Field {
	return []ent.Field{
		// Only the canonical form is stored, so that both databases compare addresses alike.
		field.String("email").NotEmpty().MaxLen(254),
		field.String("password_hash").Optional().Nillable().Sensitive(),
		// Incremented by a password change, by sign-out everywhere and by deactivation. Sessions of
		// an older version are revoked.
		field.Int("password_version").Default(0),
		// The contract accepts 200 code points; NFC may triple them (Unicode FAQ, normalization).
		field.String("full_name").Default("").MaxRuneLen(600),
		// The case-folded full name for searches, by one rule for both databases. The hook updates
		// it.
		field.String("full_name_folded").Default(""),
		field.Bool("is_active").Default(true),
		field.Bool("is_superuser").Default(false),
		field.Time("email_verified_at").Optional().Nillable(),
		// The primary identity (see UserIdentity).
		field.String("oauth_provider").Optional().Nillable().MaxLen(64),
		field.String("oauth_id").Optional().Nillable().MaxLen(255),
	}
}

// Edges of the User.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("roles", Role.Type).Through("role_assignments", RoleAssignment.Type),
		edge.To("refresh_tokens", RefreshToken.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the User.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("email", "tenant_id").Unique().StorageKey("idx_user_email_tenant"),
		index.Fields("oauth_provider", "oauth_id", "tenant_id").Unique().StorageKey("idx_user_oauth"),
		// Keyset pages of one tenant.
		index.Fields("tenant_id", "id").StorageKey("idx_user_tenant_id"),
		index.Fields("tenant_id", "is_active", "id").StorageKey("idx_user_tenant_active"),
		index.Fields("is_superuser").StorageKey("idx_user_superuser").Annotations(entsql.IndexWhere("is_superuser")),
		// Prefix search, independent of the collation of the database.
		index.Fields("tenant_id", "email").StorageKey("idx_user_tenant_email").
			Annotations(entsql.OpClassColumn("email", "text_pattern_ops")),
		index.Fields("tenant_id", "full_name_folded").StorageKey("idx_user_tenant_full_name").
			Annotations(entsql.OpClassColumn("full_name_folded", "text_pattern_ops")),
	}
}

// Hooks of the User: names are visible text in normal form, and their case-folded form is stored.
func (User) Hooks() []ent.Hook {
	return []ent.Hook{
		cleanText("full_name"),
		hook.On(func(next ent.Mutator) ent.Mutator {
			return hook.UserFunc(func(ctx context.Context, m *gen.UserMutation) (ent.Value, error) {
				if name, ok := m.FullName(); ok {
					m.SetFullNameFolded(cases.Fold().String(name))
				}
				return next.Mutate(ctx, m)
			})
		}, ent.OpCreate|ent.OpUpdate|ent.OpUpdateOne),
	}
}
