package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"tenantry/ent/privacy"
)

// Setting is a value of the whole database that triggers and every instance read. It belongs to no
// tenant.
type Setting struct{ ent.Schema }

// Annotations of the Setting.
func (Setting) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("settings")}
}

// Fields of the Setting.
func (Setting) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("name").MaxLen(64).Immutable(),
		field.String("value").MaxLen(255),
	}
}

// Policy of the Setting: no tenant may read or write it.
func (Setting) Policy() ent.Policy {
	return privacy.Policy{
		Query:    privacy.QueryPolicy{systemOnly()},
		Mutation: privacy.MutationPolicy{systemOnly()},
	}
}
