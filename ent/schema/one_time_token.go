package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"tenantry/ent/privacy"
)

// OneTimeToken is a secret that can be used once: a mail link, an invitation, the code of an OAuth
// flow. Only its SHA-256 is stored.
type OneTimeToken struct{ ent.Schema }

// Annotations of the OneTimeToken.
func (OneTimeToken) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("one_time_tokens")}
}

// Mixin of the OneTimeToken.
func (OneTimeToken) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the OneTimeToken.
func (OneTimeToken) Fields() []ent.Field {
	return []ent.Field{
		field.String("purpose").NotEmpty().MaxLen(32).Immutable(),
		field.Bytes("token_hash").MinLen(32).MaxLen(32).Unique().Immutable().Sensitive(),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.JSON("payload", json.RawMessage{}).Default(json.RawMessage("{}")).Immutable().Sensitive(),
		field.Time("expires_at").Immutable(),
	}
}

// Edges of the OneTimeToken.
func (OneTimeToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("user", User.Type).Field("user_id").Unique().Immutable().
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the OneTimeToken.
func (OneTimeToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("expires_at").StorageKey("idx_one_time_token_expires"),
		index.Fields("user_id").StorageKey("idx_one_time_token_user"),
	}
}

// Policy of the OneTimeToken: its user must belong to its tenant.
func (OneTimeToken) Policy() ent.Policy {
	return privacy.Policy{
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(ownUser(), ent.OpCreate),
		},
	}
}
