package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
	"github.com/google/uuid"

	"tenantry/ent/privacy"
)

// IDMixin gives an entity a UUIDv7 as its primary key (RFC 9562 §5.7): random, never reused,
// ordered by creation.
type IDMixin struct{ mixin.Schema }

// Fields of the mixin.
func (IDMixin) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(newID).Immutable(),
	}
}

// TimeMixin records, in UTC, when a row was created and last changed.
type TimeMixin struct{ mixin.Schema }

// Fields of the mixin.
func (TimeMixin) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Default(now).Immutable(),
		field.Time("updated_at").Default(now).UpdateDefault(now),
	}
}

// TenantMixin gives an entity an immutable tenant_id. Its policy sets the tenant on create, filters
// every query, update and delete by it, and denies a context without a principal. It is the first
// mixin of an entity, so that its policy is evaluated first.
type TenantMixin struct{ mixin.Schema }

// Fields of the mixin.
func (TenantMixin) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("tenant_id", uuid.UUID{}).Immutable(),
	}
}

// Edges of the mixin.
func (TenantMixin) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("tenant", Tenant.Type).Field("tenant_id").Unique().Required().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Policy of the mixin.
func (TenantMixin) Policy() ent.Policy {
	return privacy.Policy{
		Query:    privacy.QueryPolicy{filterQuery("tenant_id")},
		Mutation: privacy.MutationPolicy{setTenant(), filterMutation("tenant_id")},
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// now returns the time in UTC, at the resolution that both databases store.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
