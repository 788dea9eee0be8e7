package schema

import (
	"regexp"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"tenantry/ent/privacy"
	"tenantry/ent/schema/settings"
)

// Tenant is a customer of the platform. Users, roles and tokens belong to exactly one tenant.
type Tenant struct{ ent.Schema }

// slugPattern is a DNS label of 2 to 63 characters (RFC 1123 §2.1), so that a slug may become a
// host name.
var slugPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`)

// Annotations of the Tenant.
func (Tenant) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("tenants")}
}

// Mixin of the Tenant.
func (Tenant) Mixin() []ent.Mixin {
	return []ent.Mixin{IDMixin{}, TimeMixin{}}
}

// Fields of the Tenant.
func (Tenant) Fields() []ent.Field {
	return []ent.Field{
		field.String("slug").MaxLen(63).Match(slugPattern).Unique(),
		field.String("name").NotEmpty().MaxRuneLen(200),
		field.Bool("is_active").Default(true),
		field.JSON("settings", settings.Tenant{}).Default(settings.Tenant{}),
		// True from the start of the deletion. It is never reset, since some of the tenant's users
		// may be deleted already.
		field.Bool("is_deleting").Default(false),
	}
}

// Hooks of the Tenant: they normalize the name, and reject a name that is no visible text.
func (Tenant) Hooks() []ent.Hook { return []ent.Hook{cleanText("name")} }

// Policy of the Tenant: a principal reads and changes its own tenant; only the system creates and
// deletes tenants.
func (Tenant) Policy() ent.Policy {
	return privacy.Policy{
		Query: privacy.QueryPolicy{filterQuery("id")},
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(systemOnly(), ent.OpCreate|ent.OpDelete|ent.OpDeleteOne),
			filterMutation("id"),
		},
	}
}
