package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"tenantry/internal/auth"
	"tenantry/internal/outcomes"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// Answer is the authorization response of a provider, which the browser carries (RFC 6749 §4.1.2,
// RFC 9207 §2).
type Answer struct {
	State, Code, Error, Issuer string
	// Name is the user's name from Apple's first form. It is not signed.
	Name string
}

// identify checks an authorization response and returns the identity of the user. It sends the code
// to the provider only after it has checked that the response is from this provider (RFC 9207
// §2.4).
func (o *OAuth) identify(ctx context.Context, u *upstream, f *flow, a Answer) (*identity, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := u.metadata(ctx)
	if err != nil {
		return nil, err
	}
	// A provider without a configured issuer has none to compare with (RFC 9207 §2.4).
	if (m.NamesItself || a.Issuer != "") && u.Issuer != "" && a.Issuer != u.Issuer {
		return nil, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_issuer",
			Detail: "The answer is not from the provider that was asked."}
	}
	if a.Error != "" {
		return nil, refusal(a.Error)
	}
	if a.Code == "" {
		return nil, problem.InvalidParameter("code", "is required where there is no error")
	}
	return u.identify(ctx, m, a.Code, o.callbackURL(u.ref), f.Verifier, f.Nonce)
}

// codePayload is the payload of a one-time code.
type codePayload struct {
	CodeChallenge string `json:"code_challenge,omitempty"`
	// Version is the user's password_version when the provider identified the user.
	Version int `json:"version"`
	// Provider is the provider of the tenant that identified the user, if any, and Generation its
	// generation at that time.
	Provider   uuid.NullUUID `json:"provider,omitzero"`
	Generation int           `json:"generation,omitempty"`
	// AuthenticatedAt is when the provider identified the user. Codes of the previous version have
	// no such time, and expire within a minute.
	AuthenticatedAt time.Time `json:"authenticated_at,omitzero"`
}

var errCode = &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_grant",
	Detail: "The code is not valid, or was exchanged already."}

// Exchange exchanges a one-time code for the tokens of a session: 400 if the code is unknown, was
// exchanged before, is older than a minute, or belongs to another application (RFC 7636 §4.6), 401
// if the user may no longer sign in.
func (o *OAuth) Exchange(ctx context.Context, code, verifier string, from sessions.Origin) (*auth.Result, error) {
	result, err := o.exchange(ctx, code, verifier, from)
	o.signIns.Count(signInEnd(err))
	return result, err
}

func (o *OAuth) exchange(ctx context.Context, code, verifier string, from sessions.Origin) (*auth.Result, error) {
	redeemed, err := o.opts.Auth.RedeemOneTimeToken(ctx, purposeCode, code)
	if err != nil {
		return nil, err
	}
	if redeemed == nil {
		return nil, errCode
	}
	var payload codePayload
	if err := json.Unmarshal(redeemed.Payload, &payload); err != nil {
		return nil, fmt.Errorf("read the payload of a code: %w", err)
	}
	proof := ""
	if verifier != "" {
		proof = oauth2.S256ChallengeFromVerifier(verifier)
	}
	// A verifier without a challenge is refused too: an attacker has removed the challenge (RFC
	// 9700 §4.8.2).
	if subtle.ConstantTimeCompare([]byte(proof), []byte(payload.CodeChallenge)) != 1 {
		return nil, errCode
	}
	if payload.AuthenticatedAt.IsZero() {
		payload.AuthenticatedAt = o.opts.Clock()
	}
	provider := sessions.Provider{ID: payload.Provider, Generation: payload.Generation}
	return o.opts.Auth.Finish(ctx, auth.Proof{
		TenantID: redeemed.TenantID, UserID: redeemed.UserID, PasswordVersion: payload.Version,
		Authentication: authentication(payload.AuthenticatedAt, provider, from),
	})
}

// endProviderFailed is the outcome of a flow in which the provider failed.
const endProviderFailed = "provider_failed"

// errProvider is the class of problems that a provider causes.
var errProvider = problem.Class{"provider_failed", "provider_timeout", "server_error", "temporarily_unavailable"}

// signInEnd returns the outcome of a flow.
func signInEnd(err error) string {
	_, known := errors.AsType[*problem.Problem](err)
	switch {
	case err == nil:
		return outcomes.OK
	case errors.Is(err, errProvider):
		return endProviderFailed
	case known && !errors.Is(err, problem.ErrFault):
		return outcomes.Refused
	default:
		return outcomes.Failed
	}
}

// standardErrors are those of RFC 6749 §4.1.2.1 and OIDC Core §3.1.2.6.
var standardErrors = []string{
	"access_denied", "invalid_request", "invalid_scope", "server_error", "temporarily_unavailable",
	"unauthorized_client", "unsupported_response_type",
	"interaction_required", "login_required", "account_selection_required", "consent_required",
}

// cancellations are the error codes of providers for a sign-in that the user has cancelled.
var cancellations = []string{"user_cancelled_authorize", "user_cancelled_login", "user_cancelled", "user_denied"}

// refusal returns the problem of an error response of a provider: 502 for a failure of the
// provider, else 400.
func refusal(code string) error {
	if slices.Contains(cancellations, code) {
		code = "access_denied"
	}
	p := &problem.Problem{Status: http.StatusBadRequest, Code: code, Detail: "The provider has refused the sign-in."}
	if !slices.Contains(standardErrors, code) {
		p.Code = "server_error" // text from the provider is not repeated
	}
	if p.Code == "server_error" || p.Code == "temporarily_unavailable" {
		p.Status, p.Detail = http.StatusBadGateway, "The provider has failed."
	}
	return p
}

// standardError returns the error code of RFC 6749 that is closest to a problem.
func standardError(p *problem.Problem) string {
	switch {
	case slices.Contains(standardErrors, p.Code):
		return p.Code
	case p.Status == http.StatusGatewayTimeout || p.Status == http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	case p.Status >= http.StatusInternalServerError:
		return "server_error"
	case p.Status == http.StatusBadRequest:
		return "invalid_request"
	default:
		return "access_denied"
	}
}

// with adds query parameters to a redirect URI, which was validated when it was stored.
func with(redirectURI string, parameters url.Values) string {
	u, err := url.Parse(redirectURI)
	if err != nil {
		return redirectURI
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += parameters.Encode()
	return u.String()
}
