package oauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

const (
	// flowTTL is how long a browser may be away at a provider (RFC 9700 §4.7).
	flowTTL = 10 * time.Minute
	// cookieName begins the name of the cookie of a flow, and is followed by the first letters of
	// its state, so that flows in parallel tabs do not meet.
	cookieName    = "tenantry-oauth-"
	cookieLetters = 8
	// maxFlows is how many flows of one browser are live: each is a cookie, and a server refuses a
	// request whose header is too large.
	maxFlows = 10
	// maxRemoved is how many cookies one answer removes, whose header proxies limit too.
	maxRemoved = 20
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
	ExpiresAt     time.Time     `sql:"expires_at"`
	// Callbacks is how often the browser has come back, and Outcome how the flow has ended: empty
	// while its first callback is under way.
	Callbacks int    `sql:"callbacks"`
	Outcome   string `sql:"outcome"`

	// state and browser are the secrets that have found the flow.
	state, browser string
}

// linking reports whether a signed-in user has asked for the flow.
func (f *flow) linking() bool { return f.UserID.Valid }

var errState = &problem.Problem{
	Status: http.StatusBadRequest, Code: "invalid_state",
	Detail: "The sign-in was not begun in this browser, at this address, or took too long, or was ended already. " +
		"Begin again.",
}

// begin stores a flow and returns its state and the cookie of its browser. Both are secrets of 256
// bits, stored as hashes. The context acts for the tenant, or for the user who asks.
func (o *OAuth) begin(ctx context.Context, u *upstream, f *flow) (state string, cookie *http.Cookie, err error) {
	state, browser := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	f.Verifier, f.Nonce = oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	create := o.client.OAuthState.Create().SetStateHash(hash(state)).SetProvider(u.ref).
		SetProviderGeneration(u.generation).SetBrowserHash(hash(browser)).
		SetCodeVerifier(f.Verifier).SetNonce(f.Nonce).SetRedirectURI(f.RedirectURI).SetCodeChallenge(f.CodeChallenge).
		SetExpiresAt(o.opts.Clock().Add(flowTTL))
	if f.linking() {
		create.SetUserID(f.UserID.UUID).SetSessionID(f.SessionID.UUID)
	}
	if err := create.Exec(ctx); err != nil {
		return "", nil, fmt.Errorf("store state: %w", err)
	}
	return state, o.cookie(o.cookieName(cookieName, state), browser, flowTTL), nil
}

// consumeFlow counts a callback of a flow, whose first one ends it. It is one statement, so that of
// two callbacks at once one is first.
const consumeFlow = `UPDATE oauth_states SET callbacks = callbacks + 1, updated_at = $1,
	expires_at = CASE WHEN callbacks = 0 THEN $2 ELSE expires_at END
WHERE state_hash = $3 AND provider = $4 AND browser_hash = $5 AND expires_at > $1
RETURNING tenant_id, provider_generation, user_id, session_id, code_verifier, nonce, redirect_uri, code_challenge,
	expires_at, callbacks, outcome`

// consume ends a flow and returns it: 400 if there is none of this state, at this provider, in this
// browser, at this time. A callback that is repeated finds the flow and how it has ended, or will.
// Another browser finds nothing, and leaves the flow to the one that began it.
func (o *OAuth) consume(ctx context.Context, ref, state, browser string) (*flow, error) {
	now := o.opts.Clock()
	flows, err := database.Returning[*flow](principal.System(ctx, "OAuth: the state names the tenant"), o.client,
		consumeFlow,
		[]any{now, now.Add(outcomeTTL), hash(state), ref, hash(browser)})
	if err != nil {
		return nil, fmt.Errorf("consume state: %w", err)
	}
	if len(flows) == 0 || browser == "" {
		return nil, errState
	}
	flows[0].state, flows[0].browser = state, browser
	return flows[0], nil
}

// cookie returns a cookie that only this server reads. One without a value is removed.
func (o *OAuth) cookie(name, value string, ttl time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // over plain http nothing is secure
		Name: name, Value: value, Path: "/", MaxAge: int(ttl.Seconds()), Secure: o.secure(), HttpOnly: true,
		// Sent when the provider leads back, and not with what another site posts.
		SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// cookieName is the name of a cookie of a flow. Where the public URL is https, no other host can
// set it (RFC 6265bis §4.1.3.2).
func (o *OAuth) cookieName(prefix, state string) string {
	name := prefix + state[:min(len(state), cookieLetters)]
	if o.secure() {
		return "__Host-" + name
	}
	return name
}

// surplus returns the removal of the oldest flows among the cookies of a browser that begins
// another one. Browsers send the oldest cookie first (RFC 6265 §5.4).
func (o *OAuth) surplus(cookies []*http.Cookie) (removed []*http.Cookie) {
	prefix, live := o.cookieName(cookieName, ""), []string{}
	for _, c := range cookies {
		if strings.HasPrefix(c.Name, prefix) && len(c.Name) == len(prefix)+cookieLetters {
			live = append(live, c.Name)
		}
	}
	for _, name := range live[:min(max(0, len(live)-maxFlows+1), maxRemoved)] {
		removed = append(removed, o.cookie(name, "", 0))
	}
	return removed
}

func (o *OAuth) secure() bool { return strings.HasPrefix(o.opts.PublicURL, "https://") }

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
