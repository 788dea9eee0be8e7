package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent/oauthprovider"
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/internal/cache"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// maxProviderName is the length of the longest name: what is longer is an id.
const maxProviderName = 32

// upstream is a provider as a flow of a tenant uses it.
type upstream struct {
	Provider
	// ref names it in its callback: each has its own, so that no response of one is accepted for
	// another's (RFC 9700 §4.4.2).
	ref string
	// own says that the tenant has set it up, and so decides who is who there. It has a generation.
	own        bool
	id         uuid.NullUUID
	generation int

	providerClient *providerClient
	rules          Rules
	now            func() time.Time
}

// home is the tenant of a flow.
type home struct {
	id       uuid.UUID
	settings settings.Tenant
}

// key is what the subjects of the provider are distinguished by from those of others (OIDC Core
// §5.7): of a provider of the server also by its issuer, which may be another one after the next
// start.
func (u *upstream) key() string {
	if u.own {
		return u.ref
	}
	hash := sha256.Sum256([]byte(u.Issuer + "\n" + u.Endpoints.Token))
	return u.ref + ":" + base64.RawURLEncoding.EncodeToString(hash[:16])
}

// errNotOffered and errNoTenant are the same to a client.
var errNotOffered, errNoTenant = problem.NotFound(), problem.NotFound()

// upstreamRow is a tenant joined with the provider of its own that is asked for, if there is one.
type upstreamRow struct {
	TenantID       uuid.UUID      `sql:"id"`
	TenantActive   bool           `sql:"is_active"`
	TenantSettings []byte         `sql:"settings"`
	ID             uuid.NullUUID  `sql:"provider_id"`
	Name           sql.NullString `sql:"name"`
	Kind           sql.NullString `sql:"kind"`
	Enabled        sql.NullBool   `sql:"enabled"`
	Generation     sql.NullInt64  `sql:"generation"`
	ClientID       sql.NullString `sql:"client_id"`
	ClientSecret   []byte         `sql:"client_secret"`
	Issuer         sql.NullString `sql:"issuer"`
	Authorization  sql.NullString `sql:"authorization_endpoint"`
	Token          sql.NullString `sql:"token_endpoint"`
	Userinfo       sql.NullString `sql:"userinfo_endpoint"`
	Scopes         []byte         `sql:"scopes"`
}

// upstream returns a provider that signs people in to a tenant, by its name or its ref, in one
// statement: 404 if the tenant has none that is enabled, or may not act.
func (o *OAuth) upstream(ctx context.Context, of func(*sql.Selector) *sql.Predicate, called string) (home, *upstream,
	error) {
	column, value := oauthprovider.FieldName, any(called)
	if id, err := uuid.Parse(called); err == nil && len(called) > maxProviderName {
		column, value = oauthprovider.FieldID, id
	}
	var rows []upstreamRow
	err := o.client.Tenant.Query().Modify(func(s *sql.Selector) {
		p := sql.Table(oauthprovider.Table).As("p")
		s.LeftJoin(p).OnP(sql.And(
			sql.ColumnsEQ(s.C(tenant.FieldID), p.C(oauthprovider.FieldTenantID)), sql.EQ(p.C(column), value),
		))
		s.Where(of(s)).Select(s.C(tenant.FieldID), s.C(tenant.FieldSettings), s.C(tenant.FieldIsActive)).
			AppendSelectAs(p.C(oauthprovider.FieldID), "provider_id")
		s.AppendSelect(p.Columns(oauthprovider.FieldName, oauthprovider.FieldKind, oauthprovider.FieldEnabled,
			oauthprovider.FieldGeneration, oauthprovider.FieldClientID,
			oauthprovider.FieldClientSecret, oauthprovider.FieldIssuer, oauthprovider.FieldAuthorizationEndpoint,
			oauthprovider.FieldTokenEndpoint, oauthprovider.FieldUserinfoEndpoint, oauthprovider.FieldScopes)...)
	}).Scan(principal.System(ctx, "OAuth: the user is not known yet"), &rows)
	if err != nil {
		return home{}, nil, fmt.Errorf("read tenant and OAuth provider: %w", err)
	}
	if len(rows) == 0 || !rows[0].TenantActive {
		return home{}, nil, errNoTenant
	}
	row := rows[0]
	h := home{id: row.TenantID}
	if err := json.Unmarshal(row.TenantSettings, &h.settings); err != nil {
		return home{}, nil, fmt.Errorf("read settings of tenant: %w", err)
	}
	u, err := o.provider(&row, called)
	return h, u, err
}

// offered is a provider in a tenant, as it is cached.
type offered struct {
	home     home
	upstream *upstream
}

// offered returns a provider of a tenant by their names. The end of a flow looks again.
func (o *OAuth) offered(ctx context.Context, slug, name string) (offered, error) {
	return cache.Get(o.opts.Cache, cache.Key{Kind: cache.Provider, Name: slug + "/" + name},
		func() (cache.Loaded[offered], error) {
			h, u, err := o.upstream(ctx, bySlug(slug), name)
			if err != nil {
				return cache.Loaded[offered]{}, err
			}
			size := 1024 + len(u.Issuer) + len(u.Endpoints.Authorization) + len(u.Endpoints.Token) + len(u.ClientSecret)
			for _, uri := range h.settings.RedirectURIs {
				size += len(uri) + 16
			}
			return cache.Loaded[offered]{Value: offered{h, u}, Rows: []uuid.UUID{h.id}, Size: size}, nil
		})
}

// provider returns the provider of a row, or the server's.
func (o *OAuth) provider(row *upstreamRow, called string) (*upstream, error) {
	u := &upstream{rules: o.opts.Rules, now: o.opts.Clock}
	if !row.ID.Valid {
		for _, p := range o.opts.Providers {
			if p.Name == called {
				u.Provider, u.ref = p, p.Name
				u.providerClient = o.providerClients.of(u.ref)
				return u, nil
			}
		}
		return nil, errNotOffered
	}
	if !row.Enabled.Bool {
		return nil, errNotOffered
	}
	u.own, u.ref, u.id, u.generation = true, row.ID.UUID.String(), row.ID, int(row.Generation.Int64)
	u.providerClient = o.providerClients.of(u.ref)
	u.Provider = Provider{
		Name: row.Name.String, Kind: Kind(row.Kind.String), ClientID: row.ClientID.String, Issuer: row.Issuer.String,
		Endpoints: Endpoints{row.Authorization.String, row.Token.String, row.Userinfo.String},
	}
	if err := json.Unmarshal(row.Scopes, &u.Scopes); err != nil {
		return nil, fmt.Errorf("read scopes of OAuth provider: %w", err)
	}
	if row.ClientSecret != nil {
		secret, _, err := o.opts.Sealer.Open(row.ClientSecret, u.ref)
		if err != nil { // not the caller's fault; a new client secret repairs it (docs/keys.md)
			return nil, problem.Unavailable(fmt.Errorf("open the client secret of OAuth provider %s of tenant %s: %w",
				u.ref, row.TenantID, err))
		}
		u.ClientSecret = string(secret)
	}
	return u, nil
}

func bySlug(slug string) func(*sql.Selector) *sql.Predicate {
	return func(s *sql.Selector) *sql.Predicate { return sql.EQ(s.C(tenant.FieldSlug), slug) }
}

func byTenant(id uuid.UUID) func(*sql.Selector) *sql.Predicate {
	return func(s *sql.Selector) *sql.Predicate { return sql.EQ(s.C(tenant.FieldID), id) }
}
