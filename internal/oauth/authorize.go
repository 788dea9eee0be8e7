package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// Start is the beginning of a flow: the URL that the browser is redirected to, and its cookie.
type Start struct {
	URL    string
	Cookie *http.Cookie
}

var errRedirect error = problem.InvalidParameter("redirect_uri", "is not among the redirect_uris of the tenant")

// Authorize begins a sign-in: 404 if the tenant has no such provider, 400 if it does not allow the
// redirect URI, 502 and 504 if the provider fails, 429 for a network that begins too many flows. An
// empty slug means the default tenant. The challenge is that of the application (RFC 7636), empty
// if it has none. The response for a tenant that does not exist or is suspended is that of a tenant
// without providers of its own and with closed registration.
func (o *OAuth) Authorize(ctx context.Context, slug, provider, redirectURI, challenge string,
	from sessions.Origin) (*Start, error) {
	if challenge != "" && redirectURI == "" {
		return nil, problem.InvalidParameter("code_challenge", "is of no use without a redirect_uri")
	}
	slug = cmp.Or(slug, o.opts.DefaultTenant)
	if err := o.opts.Limiter.SpendFlow(ctx, from.IP, slug); err != nil {
		return nil, err
	}
	offered, err := o.offered(ctx, slug, provider)
	if errors.Is(err, errNoTenant) {
		offered, err = o.offeredToUnknownTenant(ctx, provider)
	}
	if err != nil {
		return nil, err
	}
	h, u := offered.home, offered.upstream
	return o.start(principal.NewContext(ctx, principal.InTenant(h.id)), h, u,
		&flow{RedirectURI: redirectURI, CodeChallenge: challenge})
}

// Link begins a flow that links an identity to the signed-in user, who has signed in recently. The
// errors are those of Authorize, 401 for an older session, and 403 for a superuser at a provider of
// a tenant.
func (o *OAuth) Link(ctx context.Context, me *sessions.Projection, provider, redirectURI string) (*Start, error) {
	if err := o.opts.Sessions.Recent(me); err != nil {
		return nil, err
	}
	h, u, err := o.upstream(ctx, byTenant(me.TenantID), provider)
	if err != nil {
		return nil, err
	}
	if me.IsSuperuser && u.own {
		return nil, errSuperuser
	}
	return o.start(ctx, h, u, &flow{
		RedirectURI: redirectURI, UserID: uuid.NullUUID{UUID: me.ID, Valid: true},
		SessionID: uuid.NullUUID{UUID: me.CredentialID, Valid: true},
	})
}

// start begins a flow at a provider of the tenant of the context's principal.
func (o *OAuth) start(ctx context.Context, h home, u *upstream, f *flow) (*Start, error) {
	// Compared exactly; the URIs were validated when they were stored (RFC 9700 §2.1).
	if f.RedirectURI != "" && !slices.Contains(h.settings.RedirectURIs, f.RedirectURI) {
		return nil, errRedirect
	}
	m, err := u.metadata(ctx)
	if err != nil {
		return nil, err
	}
	state, cookie, err := o.begin(ctx, u, f)
	if err != nil {
		return nil, err
	}
	more := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.Verifier)}
	if u.openID() {
		more = append(more, oauth2.SetAuthURLParam("nonce", f.Nonce))
	}
	if u.Kind == oauthprovider.KindApple { // Apple requires it for the address and the name
		more = append(more, oauth2.SetAuthURLParam("response_mode", "form_post"))
	}
	return &Start{URL: u.config(m, o.callbackURL(u.ref)).AuthCodeURL(state, more...), Cookie: cookie}, nil
}

// callbackURL returns the URL to which a provider redirects the browser back.
func (o *OAuth) callbackURL(ref string) string {
	return o.opts.PublicURL + "/api/v1/auth/oauth/" + ref + "/callback"
}
