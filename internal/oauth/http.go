package oauth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/api"
	"tenantry/internal/httpapi"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// HTTP serves the operations of this package.
type HTTP struct{ *OAuth }

// ListOAuthOffers answers GET /api/v1/auth/oauth/providers.
func (h HTTP) ListOAuthOffers(ctx context.Context,
	r api.ListOAuthOffersRequestObject) (api.ListOAuthOffersResponseObject, error) {
	offers, err := h.Offers(ctx, value(r.Params.Tenant))
	if err != nil {
		return nil, err
	}
	answer := api.ListOAuthOffers200JSONResponse{Items: make([]api.OAuthOffer, 0, len(offers))}
	for _, o := range offers {
		answer.Items = append(answer.Items, api.OAuthOffer{Name: o.Name, Kind: api.OAuthProviderKind(o.Kind),
			Label: o.Label})
	}
	return answer, nil
}

// ListOAuthProviders answers GET /api/v1/oauth-providers.
func (h HTTP) ListOAuthProviders(ctx context.Context,
	_ api.ListOAuthProvidersRequestObject) (api.ListOAuthProvidersResponseObject, error) {
	all, err := h.List(ctx)
	if err != nil {
		return nil, err
	}
	answer := api.ListOAuthProviders200JSONResponse{Items: make([]api.OAuthProvider, 0, len(all))}
	for _, p := range all {
		answer.Items = append(answer.Items, h.response(p))
	}
	return answer, nil
}

// CreateOAuthProvider answers POST /api/v1/oauth-providers.
func (h HTTP) CreateOAuthProvider(ctx context.Context,
	r api.CreateOAuthProviderRequestObject) (api.CreateOAuthProviderResponseObject, error) {
	p := Provider{
		Name: r.Body.Name, Kind: Kind(r.Body.Kind), Label: value(r.Body.Label), ClientID: r.Body.ClientID,
		ClientSecret: value(r.Body.ClientSecret),
		Scopes:       value(r.Body.Scopes), Issuer: value(r.Body.Issuer),
		Endpoints: Endpoints{value(r.Body.AuthorizationEndpoint), value(r.Body.TokenEndpoint),
			value(r.Body.UserinfoEndpoint)},
	}
	created, err := h.Create(ctx, p, r.Body.Enabled == nil || *r.Body.Enabled)
	if err != nil {
		return nil, err
	}
	shown := api.OAuthProviderJSONResponse(h.response(created))
	return api.CreateOAuthProvider201JSONResponse{OAuthProviderJSONResponse: shown}, nil
}

// GetOAuthProvider answers GET /api/v1/oauth-providers/{id}.
func (h HTTP) GetOAuthProvider(ctx context.Context,
	r api.GetOAuthProviderRequestObject) (api.GetOAuthProviderResponseObject, error) {
	found, err := h.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	shown := api.OAuthProviderJSONResponse(h.response(found))
	return api.GetOAuthProvider200JSONResponse{OAuthProviderJSONResponse: shown}, nil
}

// UpdateOAuthProvider answers PATCH /api/v1/oauth-providers/{id}.
func (h HTTP) UpdateOAuthProvider(ctx context.Context,
	r api.UpdateOAuthProviderRequestObject) (api.UpdateOAuthProviderResponseObject, error) {
	changed, err := h.Update(ctx, r.ID, Change{
		Label: r.Body.Label, ClientID: r.Body.ClientID, ClientSecret: r.Body.ClientSecret, Enabled: r.Body.Enabled,
		Scopes: r.Body.Scopes,
	})
	if err != nil {
		return nil, err
	}
	shown := api.OAuthProviderJSONResponse(h.response(changed))
	return api.UpdateOAuthProvider200JSONResponse{OAuthProviderJSONResponse: shown}, nil
}

// DeleteOAuthProvider answers DELETE /api/v1/oauth-providers/{id}.
func (h HTTP) DeleteOAuthProvider(ctx context.Context,
	r api.DeleteOAuthProviderRequestObject) (api.DeleteOAuthProviderResponseObject, error) {
	if err := h.Delete(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteOAuthProvider204Response{}, nil
}

// AuthorizeOAuth answers GET /api/v1/auth/oauth/{provider}/authorize.
func (h HTTP) AuthorizeOAuth(ctx context.Context, r api.AuthorizeOAuthRequestObject) (api.AuthorizeOAuthResponseObject,
	error) {
	if r.Params.CodeChallengeMethod != nil && r.Params.CodeChallenge == nil {
		return nil, problem.InvalidParameter("code_challenge", "is required where there is a method")
	}
	if err := h.checkHost(ctx); err != nil {
		return nil, err
	}
	start, err := h.Authorize(ctx, value(r.Params.Tenant), r.Provider, value(r.Params.RedirectURI),
		value(r.Params.CodeChallenge), sessions.OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return redirect{start.URL, append([]*http.Cookie{start.Cookie}, h.surplus(httpapi.Cookies(ctx))...)}, nil
}

// CallBackOAuth answers GET /api/v1/auth/oauth/{provider}/callback.
func (h HTTP) CallBackOAuth(ctx context.Context, r api.CallBackOAuthRequestObject) (api.CallBackOAuthResponseObject,
	error) {
	browser := h.browserSecret(ctx, r.Params.State)
	outcome, err := h.CallBack(ctx, r.Provider, Answer{
		State: r.Params.State, Code: value(r.Params.Code), Error: value(r.Params.Error), Issuer: value(r.Params.Iss),
		Name: h.keptName(ctx, r.Params.State),
	}, browser, sessions.OriginOf(ctx))
	switch {
	case err != nil:
		return nil, err
	case outcome.URL != "":
		return api.CallBackOAuth303Response{Headers: api.CallBackOAuth303ResponseHeaders{Location: outcome.URL}}, nil
	case outcome.Tokens != nil:
		return api.CallBackOAuth200JSONResponse{TokensJSONResponse: api.TokensJSONResponse(outcome.Tokens.Response())},
			nil
	default:
		return api.CallBackOAuth204Response{}, nil
	}
}

// PostOAuthCallback answers POST /api/v1/auth/oauth/{provider}/callback.
func (h HTTP) PostOAuthCallback(ctx context.Context,
	r api.PostOAuthCallbackRequestObject) (api.PostOAuthCallbackResponseObject, error) {
	answer := url.Values{"state": {r.Body.State}}
	for name, given := range map[string]*string{"code": r.Body.Code, "error": r.Body.Error, "iss": r.Body.Iss} {
		if given != nil {
			answer.Set(name, *given)
		}
	}
	return redirect{h.callbackURL(r.Provider) + "?" + answer.Encode(),
		h.keepName(r.Body.State, formName(httpapi.FormMember(ctx, "user")))}, nil
}

// ExchangeOAuthCode answers POST /api/v1/auth/oauth/exchange.
func (h HTTP) ExchangeOAuthCode(ctx context.Context,
	r api.ExchangeOAuthCodeRequestObject) (api.ExchangeOAuthCodeResponseObject, error) {
	result, err := h.Exchange(ctx, r.Body.Code, value(r.Body.CodeVerifier), sessions.OriginOf(ctx))
	if err != nil {
		return nil, err
	}
	return api.ExchangeOAuthCode200JSONResponse{TokensJSONResponse: api.TokensJSONResponse(result.Tokens.Response())},
		nil
}

// LinkOAuth answers POST /api/v1/auth/oauth/{provider}/link.
func (h HTTP) LinkOAuth(ctx context.Context, r api.LinkOAuthRequestObject) (api.LinkOAuthResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.checkHost(ctx); err != nil {
		return nil, err
	}
	start, err := h.Link(ctx, me, r.Provider, value(r.Params.RedirectURI))
	if err != nil {
		return nil, err
	}
	cookies := append([]*http.Cookie{start.Cookie}, h.surplus(httpapi.Cookies(ctx))...)
	return begunLink{api.OAuthLink{AuthorizationURL: start.URL}, cookies}, nil
}

// UnlinkOAuth answers DELETE /api/v1/auth/oauth/link.
func (h HTTP) UnlinkOAuth(ctx context.Context, _ api.UnlinkOAuthRequestObject) (api.UnlinkOAuthResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.Unlink(ctx, me); err != nil {
		return nil, err
	}
	return api.UnlinkOAuth204Response{}, nil
}

// UnlinkIdentity answers DELETE /api/v1/users/me/identities/{provider}.
func (h HTTP) UnlinkIdentity(ctx context.Context,
	r api.UnlinkIdentityRequestObject) (api.UnlinkIdentityResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.UnlinkFrom(ctx, me, r.Provider); err != nil {
		return nil, err
	}
	return api.UnlinkIdentity204Response{}, nil
}

// ListMyIdentities answers GET /api/v1/users/me/identities.
func (h HTTP) ListMyIdentities(ctx context.Context,
	_ api.ListMyIdentitiesRequestObject) (api.ListMyIdentitiesResponseObject, error) {
	me, err := sessions.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.OfUser(ctx, me.ID)
	return api.ListMyIdentities200JSONResponse{Items: all}, err
}

// ListUserIdentities answers GET /api/v1/users/{id}/identities.
func (h HTTP) ListUserIdentities(ctx context.Context,
	r api.ListUserIdentitiesRequestObject) (api.ListUserIdentitiesResponseObject, error) {
	all, err := h.OfUser(ctx, r.ID)
	return api.ListUserIdentities200JSONResponse{Items: all}, err
}

// OfUser returns the identities of a user as the API shows them. Its errors are those of
// Identities.
func (h HTTP) OfUser(ctx context.Context, id uuid.UUID) ([]api.Identity, error) {
	all, err := h.Identities(ctx, id)
	if err != nil {
		return nil, err
	}
	shown := make([]api.Identity, 0, len(all))
	for _, l := range all {
		shown = append(shown, api.Identity{Provider: l.Provider, Subject: l.Subject, Own: l.Own, Active: l.Active})
	}
	return shown, nil
}

// value returns what was given, or nothing.
func value[T any](given *T) (v T) {
	if given != nil {
		v = *given
	}
	return v
}

func (h HTTP) response(p *ent.OAuthProvider) api.OAuthProvider {
	said := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return api.OAuthProvider{
		ID: p.ID, Name: p.Name, Kind: api.OAuthProviderKind(p.Kind), Label: p.Label, Enabled: p.Enabled,
		ClientID:        p.ClientID,
		HasClientSecret: p.ClientSecret != nil, Scopes: p.Scopes, CallbackURL: h.callbackURL(p.ID.String()),
		Issuer: said(p.Issuer), AuthorizationEndpoint: said(p.AuthorizationEndpoint),
		TokenEndpoint: said(p.TokenEndpoint), UserinfoEndpoint: said(p.UserinfoEndpoint),
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}
