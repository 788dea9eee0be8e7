package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"tenantry/ent/privacy"
)

// Throttle is a counter of attempts that have failed: those of an account, from an address, or of
// both. A counter may also stand for a network from which an account has signed in, until it
// expires. It belongs to no tenant: an address signs in to many, and an account that does not exist
// is counted like one that does.
type Throttle struct{ ent.Schema }

// Annotations of the Throttle.
func (Throttle) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("throttles")}
}

// Fields of the Throttle. Times are Unix milliseconds, so that both databases compute with them alike.
func (Throttle) Fields() []ent.Field {
	return []ent.Field{
		// A MAC of what is counted, so that the table tells nobody who has tried to sign in.
		field.String("id").MaxLen(64).Immutable(),
		// How many attempts there were beyond the free ones; negative or zero while there are some left.
		field.Int64("excess"),
		field.Int64("blocked_until").Default(0),
		// When the attempts are forgotten.
		field.Int64("expires_at"),
	}
}

// Indexes of the Throttle.
func (Throttle) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("expires_at").StorageKey("idx_throttle_expires"),
	}
}

// Policy of the Throttle: no tenant may touch it.
func (Throttle) Policy() ent.Policy {
	return privacy.Policy{
		Query:    privacy.QueryPolicy{systemOnly()},
		Mutation: privacy.MutationPolicy{systemOnly()},
	}
}
