package oauth

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/cache"
	"tenantry/internal/principal"
)

// A flow for a tenant that does not exist looks like a flow for a tenant without providers of its
// own that is closed for registration, so that a client cannot find out which slugs exist. Its row
// belongs to the default tenant and has the generation unknownTenant. It runs the same number of
// statements, and always ends with registration_closed.

// unknownTenant is the generation of flows for tenants that do not exist. No provider has it.
const unknownTenant = -1

// offeredToUnknownTenant returns a provider of the server for such a flow: 404 if the provider does
// not exist.
func (o *OAuth) offeredToUnknownTenant(ctx context.Context, name string) (offered, error) {
	u, err := o.upstreamOfUnknownTenant(name)
	if err != nil {
		return offered{}, err
	}
	keeper, err := cache.Get(o.opts.Cache, cache.Key{Kind: cache.Provider, Name: "/"},
		func() (cache.Loaded[offered], error) {
			id, err := o.client.Tenant.Query().Where(tenant.Slug(o.opts.DefaultTenant)).OnlyID(principal.System(ctx,
				"OAuth: the user is not authenticated yet"))
			if ent.IsNotFound(err) {
				return cache.Loaded[offered]{}, errNotOffered // without a default tenant the responses cannot differ
			}
			if err != nil {
				return cache.Loaded[offered]{}, fmt.Errorf("read the default tenant: %w", err)
			}
			return cache.Loaded[offered]{Value: offered{home: home{id: id}}, Rows: []uuid.UUID{id}, Size: 256}, nil
		})
	return offered{home{id: keeper.home.id}, u}, err
}

func (o *OAuth) upstreamOfUnknownTenant(name string) (*upstream, error) {
	u, err := o.provider(&upstreamRow{}, name)
	if err != nil {
		return nil, err
	}
	u.generation = unknownTenant
	return u, nil
}

// ofUnknownTenant reports whether the flow is for a tenant that does not exist.
func (u *upstream) ofUnknownTenant() bool { return u.generation == unknownTenant }
