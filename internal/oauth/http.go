package oauth

import (
	"context"

	"tenantry/ent"
	"tenantry/internal/api"
)

// HTTP serves the operations of this package.
type HTTP struct{ *OAuth }

// ListOAuthOffers answers GET /api/v1/auth/oauth/providers.
func (h HTTP) ListOAuthOffers(ctx context.Context, r api.ListOAuthOffersRequestObject) (api.ListOAuthOffersResponseObject, error) {
	offers, err := h.Offers(ctx, value(r.Params.Tenant))
	if err != nil {
		return nil, err
	}
	answer := api.ListOAuthOffers200JSONResponse{Items: make([]api.OAuthOffer, 0, len(offers))}
	for _, o := range offers {
		answer.Items = append(answer.Items, api.OAuthOffer{Name: o.Name, Kind: api.OAuthProviderKind(o.Kind), Label: o.Label})
	}
	return answer, nil
}

// ListOAuthProviders answers GET /api/v1/oauth-providers.
func (h HTTP) ListOAuthProviders(ctx context.Context, _ api.ListOAuthProvidersRequestObject) (api.ListOAuthProvidersResponseObject, error) {
	all, err := h.List(ctx)
	if err != nil {
		return nil, err
	}
	answer := api.ListOAuthProviders200JSONResponse{Items: make([]api.OAuthProvider, 0, len(all))}
	for _, p := range all {
		answer.Items = append(answer.Items, response(p))
	}
	return answer, nil
}

// CreateOAuthProvider answers POST /api/v1/oauth-providers.
func (h HTTP) CreateOAuthProvider(ctx context.Context, r api.CreateOAuthProviderRequestObject) (api.CreateOAuthProviderResponseObject, error) {
	p := Provider{
		Name: r.Body.Name, Kind: Kind(r.Body.Kind), Label: value(r.Body.Label), ClientID: r.Body.ClientID, ClientSecret: value(r.Body.ClientSecret),
		Scopes: value(r.Body.Scopes), Issuer: value(r.Body.Issuer),
		Endpoints: Endpoints{value(r.Body.AuthorizationEndpoint), value(r.Body.TokenEndpoint), value(r.Body.UserinfoEndpoint)},
	}
	created, err := h.Create(ctx, p, r.Body.Enabled == nil || *r.Body.Enabled)
	if err != nil {
		return nil, err
	}
	return api.CreateOAuthProvider201JSONResponse{OAuthProviderJSONResponse: api.OAuthProviderJSONResponse(response(created))}, nil
}

// GetOAuthProvider answers GET /api/v1/oauth-providers/{id}.
func (h HTTP) GetOAuthProvider(ctx context.Context, r api.GetOAuthProviderRequestObject) (api.GetOAuthProviderResponseObject, error) {
	found, err := h.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetOAuthProvider200JSONResponse{OAuthProviderJSONResponse: api.OAuthProviderJSONResponse(response(found))}, nil
}

// UpdateOAuthProvider answers PATCH /api/v1/oauth-providers/{id}.
func (h HTTP) UpdateOAuthProvider(ctx context.Context, r api.UpdateOAuthProviderRequestObject) (api.UpdateOAuthProviderResponseObject, error) {
	changed, err := h.Update(ctx, r.ID, Change{
		Label: r.Body.Label, ClientID: r.Body.ClientID, ClientSecret: r.Body.ClientSecret, Enabled: r.Body.Enabled, Scopes: r.Body.Scopes,
	})
	if err != nil {
		return nil, err
	}
	return api.UpdateOAuthProvider200JSONResponse{OAuthProviderJSONResponse: api.OAuthProviderJSONResponse(response(changed))}, nil
}

// DeleteOAuthProvider answers DELETE /api/v1/oauth-providers/{id}.
func (h HTTP) DeleteOAuthProvider(ctx context.Context, r api.DeleteOAuthProviderRequestObject) (api.DeleteOAuthProviderResponseObject, error) {
	if err := h.Delete(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteOAuthProvider204Response{}, nil
}

// value returns what was given, or nothing.
func value[T any](given *T) (v T) {
	if given != nil {
		v = *given
	}
	return v
}

func response(p *ent.OAuthProvider) api.OAuthProvider {
	said := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return api.OAuthProvider{
		ID: p.ID, Name: p.Name, Kind: api.OAuthProviderKind(p.Kind), Label: p.Label, Enabled: p.Enabled, ClientID: p.ClientID,
		HasClientSecret: p.ClientSecret != nil, Scopes: p.Scopes, Issuer: said(p.Issuer), AuthorizationEndpoint: said(p.AuthorizationEndpoint),
		TokenEndpoint: said(p.TokenEndpoint), UserinfoEndpoint: said(p.UserinfoEndpoint),
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}
