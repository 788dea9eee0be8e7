package oauth

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"tenantry/ent/oauthprovider"
	"tenantry/ent/tenant"
	"tenantry/internal/principal"
)

// Offer is a provider option of a sign-in page.
type Offer struct {
	Name  string
	Kind  Kind
	Label string
}

// Offers returns the provider options of a tenant by name: the server's providers and the tenant's
// own. A tenant provider overrides a server provider of the same name. An empty slug means the
// default tenant. A tenant that does not exist has those of the server.
func (o *OAuth) Offers(ctx context.Context, slug string) ([]Offer, error) {
	own, err := o.client.OAuthProvider.Query().
		Where(oauthprovider.HasTenantWith(tenant.Slug(cmp.Or(slug, o.opts.DefaultTenant)), tenant.IsActive(true))).
		Select(oauthprovider.FieldName, oauthprovider.FieldKind, oauthprovider.FieldLabel, oauthprovider.FieldEnabled).
		All(principal.System(ctx, "sign-in: the user is not known yet"))
	if err != nil {
		return nil, fmt.Errorf("read OAuth providers: %w", err)
	}
	offers := map[string]*Offer{}
	for _, p := range o.opts.Providers {
		offers[p.Name] = &Offer{p.Name, p.Kind, p.Label}
	}
	for _, p := range own {
		if offers[p.Name] = nil; p.Enabled {
			offers[p.Name] = &Offer{p.Name, p.Kind, p.Label}
		}
	}
	var all []Offer
	for _, offer := range offers {
		if offer != nil {
			all = append(all, *offer)
		}
	}
	slices.SortFunc(all, func(a, b Offer) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
