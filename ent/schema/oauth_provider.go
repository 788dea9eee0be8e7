package schema

import (
	"context"
	"regexp"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "tenantry/ent"
	"tenantry/ent/hook"
)

// OAuthProvider is an OAuth 2.0 or OpenID Connect provider of a tenant. Its ID and the subject that
// the provider returns identify a user. Issuer and endpoints are immutable: with other values it
// would be another provider.
type OAuthProvider struct{ ent.Schema }

// providerName is a path segment.
var providerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Annotations of the OAuthProvider.
func (OAuthProvider) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("oauth_providers")}
}

// Mixin of the OAuthProvider.
func (OAuthProvider) Mixin() []ent.Mixin {
	return []ent.Mixin{TenantMixin{}, IDMixin{}, TimeMixin{}}
}

// Fields of the OAuthProvider.
func (OAuthProvider) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").Match(providerName).MaxLen(32).Immutable(),
		field.Enum("kind").Values("google", "github", "microsoft", "gitlab", "apple", "oidc", "oauth2").Immutable(),
		// The contract accepts 100 code points; NFC may triple them.
		field.String("label").NotEmpty().MaxRuneLen(300),
		field.Bool("enabled").Default(true),
		field.String("client_id").NotEmpty().MaxLen(255),
		// Encrypted, and bound to the row's ID. Empty for a public client.
		field.Bytes("client_secret").Optional().Nillable().Sensitive(),
		// Required for an OpenID provider. OAuth 2.0 servers have endpoints, and optionally an
		// issuer (RFC 9207).
		field.String("issuer").Default("").MaxLen(2000).Immutable(),
		field.String("authorization_endpoint").Default("").MaxLen(2000).Immutable(),
		field.String("token_endpoint").Default("").MaxLen(2000).Immutable(),
		field.String("userinfo_endpoint").Default("").MaxLen(2000).Immutable(),
		field.Strings("scopes").Default([]string{}),
		// A session, a code and a flow store the generation at which they began, and are revoked
		// when it changes. The hook increments it.
		field.Int("generation").Default(0),
	}
}

// Hooks of the OAuthProvider: the label is visible text; disabling the provider or changing its
// client_id increments the generation.
func (OAuthProvider) Hooks() []ent.Hook {
	return []ent.Hook{
		cleanText("label"),
		hook.On(func(next ent.Mutator) ent.Mutator {
			return hook.OAuthProviderFunc(func(ctx context.Context, m *gen.OAuthProviderMutation) (ent.Value, error) {
				enabled, switched := m.Enabled()
				if _, moved := m.ClientID(); moved || switched && !enabled {
					m.AddGeneration(1)
				}
				return next.Mutate(ctx, m)
			})
		}, ent.OpUpdate|ent.OpUpdateOne),
	}
}

// Indexes of the OAuthProvider.
func (OAuthProvider) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "name").Unique().StorageKey("idx_oauth_provider_tenant_name"),
	}
}
