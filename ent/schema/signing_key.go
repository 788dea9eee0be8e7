package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"tenantry/ent/privacy"
)

// SigningKey is a key pair that signs access tokens for every tenant of this installation.
type SigningKey struct{ ent.Schema }

// Annotations of the SigningKey.
func (SigningKey) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("signing_keys")}
}

// Mixin of the SigningKey.
func (SigningKey) Mixin() []ent.Mixin {
	return []ent.Mixin{IDMixin{}, TimeMixin{}}
}

// Fields of the SigningKey.
func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("kid").NotEmpty().MaxLen(64).Unique().Immutable(),
		field.Enum("alg").Values("ES256", "EdDSA", "RS256").Immutable(),
		// PKIX, DER (RFC 5280 §4.1).
		field.Bytes("public_key").NotEmpty().Immutable(),
		// PKCS #8, DER (RFC 5958), encrypted with AES-256-GCM under a key derived from the server
		// secret.
		field.Bytes("private_key").NotEmpty().Sensitive(),
		field.Enum("state").Values("pending", "active", "retiring").Default("pending"),
		field.Time("not_before").Default(now),
		field.Time("retire_at").Optional().Nillable(),
	}
}

// Indexes of the SigningKey.
func (SigningKey) Indexes() []ent.Index {
	return []ent.Index{
		// At most one active and one pending key, also when two instances rotate at once.
		index.Fields("state").Unique().StorageKey("idx_signing_key_state").
			Annotations(entsql.IndexWhere("state <> 'retiring'")),
	}
}

// Policy of the SigningKey: no tenant may read or write it.
func (SigningKey) Policy() ent.Policy {
	return privacy.Policy{
		Query:    privacy.QueryPolicy{systemOnly()},
		Mutation: privacy.MutationPolicy{systemOnly()},
	}
}
