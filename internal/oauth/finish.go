package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/auth"
	"tenantry/internal/httpapi"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// CallBack ends the flow of an authorization response, in the browser that has the cookie of the
// flow. It continues if the client disconnects, because the state and the provider's code can be
// used only once. A flow with a redirect URI reports an error there (RFC 6749 §4.1.2.1). A repeated
// callback gets the same outcome, at every instance, also while the first one runs. It fails with
// 400 for a response that belongs to no flow or proves no identity, with 401, 403 and 409 for a
// user who may not sign in, and with 502 and 504 if the provider fails.
func (o *OAuth) CallBack(ctx context.Context, ref string, a Answer, browser string, from sessions.Origin) (*Outcome,
	error) {
	client := ctx
	ctx, cancel := httpapi.Detached(ctx, finishWithin)
	defer cancel()
	f, err := o.consume(ctx, ref, a.State, browser)
	if err != nil {
		o.signIns.Count(signInEnd(err))
		return nil, err
	}
	for _, c := range o.endedCookies(f) {
		httpapi.SetCookie(ctx, c)
	}
	if f.Callbacks > 1 {
		end, err := o.kept(client, f)
		if err != nil {
			return nil, err
		}
		return o.answer(client, f, end, nil)
	}
	end, err := o.end(ctx, f, ref, a, from)
	if !f.linking() && (err != nil || end.tokens != nil) {
		o.signIns.Count(signInEnd(err))
	}
	if err != nil {
		end = outcome{Redirect: f.RedirectURI != "", Failure: failureOf(err)}
	}
	o.keep(ctx, f, end)
	if p, ok := errors.AsType[*problem.Problem](err); ok && p.Unwrap() != nil &&
		p.Status < http.StatusInternalServerError { // the renderer logs others
		o.opts.Log.LogAttrs(ctx, slog.LevelWarn, "sign-in at a provider failed", slog.String("provider", ref),
			slog.Any("error", err))
	}
	return o.answer(ctx, f, end, err)
}

// end identifies the user, and signs them in or links the identity.
func (o *OAuth) end(ctx context.Context, f *flow, ref string, a Answer, from sessions.Origin) (outcome, error) {
	h, u, err := o.upstream(ctx, byTenant(f.TenantID), ref)
	refused := errors.Is(err, errNotOffered) || errors.Is(err, errNoTenant)
	unread := err != nil && !refused && h.id == uuid.Nil
	if f.Generation == unknownTenant && (err == nil || refused) {
		h = home{id: f.TenantID}
		u, err = o.upstreamOfUnknownTenant(ref)
	}
	// If the list cannot be read, the check at the beginning of the flow is enough.
	if f.RedirectURI != "" && !unread && !slices.Contains(h.settings.RedirectURIs, f.RedirectURI) {
		f.RedirectURI, err = "", cmp.Or(err, errRedirect)
	}
	if errors.Is(err, errNotOffered) || errors.Is(err, errNoTenant) ||
		(err == nil && (u.ref != ref || u.generation != f.Generation)) {
		return outcome{}, sessions.ErrProviderDisabled // since the flow began (O-11)
	}
	if err != nil {
		return outcome{}, err
	}
	is, err := o.identify(ctx, u, f, a)
	if err != nil {
		return outcome{}, err
	}
	if is.unread != nil {
		o.opts.Log.LogAttrs(ctx, slog.LevelWarn, "user information was not read", slog.String("provider", ref),
			slog.Any("error", is.unread))
	}
	is.Name = cmp.Or(is.Name, a.Name)
	if f.linking() {
		return outcome{Redirect: f.RedirectURI != "", Linked: u.Name}, o.link(ctx, f, u, is)
	}
	who, err := o.userOf(ctx, h, u, is)
	if err != nil {
		return outcome{}, err
	}
	return o.admit(ctx, f, h, u, who, from)
}

// authentication returns how and when a user was authenticated: by a provider, at a time.
func authentication(at time.Time, provider sessions.Provider, from sessions.Origin) sessions.Authentication {
	return sessions.Authentication{At: at, Methods: []string{auth.MethodFederated}, Provider: provider, From: from}
}

// admit signs a user in: with a one-time code for the redirect URI of the flow, or with tokens if
// the flow has none.
func (o *OAuth) admit(ctx context.Context, f *flow, h home, u *upstream, who signer, from sessions.Origin) (outcome,
	error) {
	if f.RedirectURI == "" {
		result, err := o.opts.Auth.Finish(ctx, auth.Proof{
			TenantID: h.id, UserID: who.id, PasswordVersion: who.version,
			Authentication: authentication(o.opts.Clock(), sessions.Provider{ID: u.id, Generation: u.generation}, from),
		})
		if err != nil {
			return outcome{}, err
		}
		return outcome{Session: uuid.NullUUID{UUID: result.Tokens.Session, Valid: true}, tokens: result.Tokens}, nil
	}
	payload, err := json.Marshal(codePayload{
		CodeChallenge: f.CodeChallenge, Version: who.version, Provider: u.id, Generation: u.generation,
		AuthenticatedAt: o.opts.Clock(),
	})
	if err != nil {
		return outcome{}, err
	}
	acting := principal.NewContext(ctx, principal.OfUser(h.id, who.id))
	return outcome{Redirect: true, Code: true}, o.opts.Auth.StoreOneTimeToken(acting, purposeCode, f.oneTimeCode(),
		payload, codeTTL)
}
