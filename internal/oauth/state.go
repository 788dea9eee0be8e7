package oauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"tenantry/ent/oauthstate"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

const (
	// flowTTL is how long a browser may be away at a provider (RFC 9700 §4.7).
	flowTTL = 10 * time.Minute
	// cookieName begins the name of the cookie of a flow, and is followed by the first letters of its state, so that flows in
	// parallel tabs do not meet.
	cookieName    = "tenantry-oauth-"
	cookieLetters = 8
)

// flow is a sign-in or linking under way, as its row of oauth_states has it.
type flow struct {
	TenantID uuid.UUID `sql:"tenant_id"`
	// Generation is that of the provider of the tenant, at the beginning.
	Generation    int           `sql:"provider_generation"`
	UserID        uuid.NullUUID `sql:"user_id"`
	SessionID     uuid.NullUUID `sql:"session_id"`
	Verifier      string        `sql:"code_verifier"`
	Nonce         string        `sql:"nonce"`
	RedirectURI   string        `sql:"redirect_uri"`
	CodeChallenge string        `sql:"code_challenge"`
}

// linking reports whether a signed-in user has asked for the flow.
func (f *flow) linking() bool { return f.UserID.Valid }

var errState = &problem.Problem{
	Status: http.StatusBadRequest, Code: "invalid_state",
	Detail: "The sign-in was not begun in this browser, or took too long, or was ended already. Begin again.",
}

// begin stores a flow and returns its state and the cookie of its browser. Both are secrets of 256 bits, stored as hashes. The context
// acts for the tenant, or for the user who asks.
func (o *OAuth) begin(ctx context.Context, u *upstream, f *flow) (state string, cookie *http.Cookie, err error) {
	state, browser := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	f.Verifier, f.Nonce = oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	create := o.client.OAuthState.Create().SetStateHash(hash(state)).SetProvider(u.ref).SetProviderGeneration(u.generation).SetBrowserHash(hash(browser)).
		SetCodeVerifier(f.Verifier).SetNonce(f.Nonce).SetRedirectURI(f.RedirectURI).SetCodeChallenge(f.CodeChallenge).
		SetExpiresAt(o.opts.Clock().Add(flowTTL))
	if f.linking() {
		create.SetUserID(f.UserID.UUID).SetSessionID(f.SessionID.UUID)
	}
	if err := create.Exec(ctx); err != nil {
		return "", nil, fmt.Errorf("store state: %w", err)
	}
	return state, &http.Cookie{ //nolint:gosec // over plain http nothing is secure
		Name: o.cookieName(state), Value: browser, Path: "/", MaxAge: int(flowTTL.Seconds()), Secure: o.secure(), HttpOnly: true,
		// Sent when the provider leads back, and not with what another site posts.
		SameSite: http.SameSiteLaxMode,
	}, nil
}

// consume ends a flow and returns it: 400 if there is none of this state, at this provider, in this browser, at this time. Whoever comes
// second finds nothing, and whoever comes with another browser leaves it to the one that began.
func (o *OAuth) consume(ctx context.Context, ref, state, browser string) (*flow, error) {
	flows, err := database.Take[*flow](principal.System(ctx, "OAuth: the state names the tenant"), o.client, oauthstate.Table, []string{
		oauthstate.FieldTenantID, oauthstate.FieldProviderGeneration, oauthstate.FieldUserID, oauthstate.FieldSessionID, oauthstate.FieldCodeVerifier, oauthstate.FieldNonce,
		oauthstate.FieldRedirectURI, oauthstate.FieldCodeChallenge,
	}, sql.And(
		sql.EQ(oauthstate.FieldStateHash, hash(state)), sql.EQ(oauthstate.FieldProvider, ref), sql.EQ(oauthstate.FieldBrowserHash, hash(browser)),
		sql.GT(oauthstate.FieldExpiresAt, o.opts.Clock()),
	))
	if err != nil {
		return nil, fmt.Errorf("consume state: %w", err)
	}
	if len(flows) == 0 || browser == "" {
		return nil, errState
	}
	return flows[0], nil
}

// cookieName is the name of the cookie of a flow. Where the public URL is https, no other host can set it (RFC 6265bis §4.1.3.2).
func (o *OAuth) cookieName(state string) string {
	name := cookieName + state[:min(len(state), cookieLetters)]
	if o.secure() {
		return "__Host-" + name
	}
	return name
}

func (o *OAuth) secure() bool { return strings.HasPrefix(o.opts.PublicURL, "https://") }

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
