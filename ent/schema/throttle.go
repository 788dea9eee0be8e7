package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"tenantry/ent/privacy"
)

// Throttle is a counter of failed attempts of an account, of a client network, or of both. Until it
// expires, a counter also marks a network from which the account has signed in. It belongs to no
// tenant: a network signs in to several tenants, and unknown accounts are counted like existing
// ones.
type Throttle struct{ ent.Schema }

// Annotations of the Throttle.
func (Throttle) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("throttles")}
}

// Fields of the Throttle. Times are Unix milliseconds, so that both databases compute the same.
func (Throttle) Fields() []ent.Field {
	return []ent.Field{
		// A MAC of the counter's subject, so that the table does not reveal accounts or addresses.
		field.String("id").MaxLen(64).Immutable(),
		// The number of attempts beyond the free ones; negative or zero while free attempts remain.
		field.Int64("excess"),
		field.Int64("blocked_until").Default(0),
		// When the counter is reset.
		field.Int64("expires_at"),
	}
}

// Indexes of the Throttle.
func (Throttle) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("expires_at").StorageKey("idx_throttle_expires"),
	}
}

// Policy of the Throttle: no tenant may read or write it.
func (Throttle) Policy() ent.Policy {
	return privacy.Policy{
		Query:    privacy.QueryPolicy{systemOnly()},
		Mutation: privacy.MutationPolicy{systemOnly()},
	}
}
