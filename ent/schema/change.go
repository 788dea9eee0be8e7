package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"tenantry/ent/privacy"
)

// Change is one row of the change log. It names an object whose cached data is outdated. Triggers
// insert it in the transaction of the change, so that the log has the changes of every program. Each
// instance reads the log. The table has no tenant_id.
type Change struct{ ent.Schema }

// Annotations of the Change.
func (Change) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("changes")}
}

// Fields of the Change.
func (Change) Fields() []ent.Field {
	return []ent.Field{
		// On SQLite, where one transaction writes at a time, ids are in the order of the commits.
		field.Int64("id").Immutable(),
		// The ID of a session, user or tenant. The zero UUID stands for every object.
		field.UUID("key", uuid.UUID{}).Immutable(),
		// The transaction of the change, pg_current_xact_id() on Postgres. Unlike the system column
		// xmin, it includes the epoch of transaction IDs, and vacuum does not freeze it. 0 on SQLite.
		field.Int64("xid").Immutable(),
	}
}

// Indexes of the Change.
func (Change) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("xid").StorageKey("idx_change_xid"),
	}
}

// Policy of the Change: no tenant may read or write it.
func (Change) Policy() ent.Policy {
	return privacy.Policy{
		Query:    privacy.QueryPolicy{systemOnly()},
		Mutation: privacy.MutationPolicy{systemOnly()},
	}
}
