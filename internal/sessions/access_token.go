package sessions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"

	"tenantry/internal/keyring"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/signing"
)

// tokenType tells an access token from every other JWT (RFC 9068 §2.1, RFC 8725 §3.11).
const tokenType = "at+jwt"

// claims are the claims of an access token. They hold no personal data, and no permission, which
// may change before the token expires.
type claims struct {
	jwt.RegisteredClaims
	// Times are whole seconds since 1970. The library's own would also be read from text.
	ExpiresAt int64 `json:"exp"`
	IssuedAt  int64 `json:"iat"`
	NotBefore int64 `json:"nbf,omitempty"`
	// ClientID is that of the tenant's first-party client, which has the id of the tenant (RFC 9068
	// §2.2). It is optional: tokens of an instance before an upgrade omit it.
	ClientID  string    `json:"client_id"`
	SessionID uuid.UUID `json:"sid"`
	TenantID  uuid.UUID `json:"tid"`
	Roles     []string  `json:"roles"`
}

// GetExpirationTime returns the time after which the token is not accepted, nil if there is none.
func (c claims) GetExpirationTime() (*jwt.NumericDate, error) { return date(c.ExpiresAt), nil }

// GetIssuedAt returns when the token was issued, nil without that claim.
func (c claims) GetIssuedAt() (*jwt.NumericDate, error) { return date(c.IssuedAt), nil }

// GetNotBefore returns the time before which the token is not accepted, nil if there is none.
func (c claims) GetNotBefore() (*jwt.NumericDate, error) { return date(c.NotBefore), nil }

func date(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}

// accessTokens issues and verifies access tokens.
type accessTokens struct {
	keys   *signing.Keys
	issuer string
	clock  func() time.Time
	parser *jwt.Parser
	// verifications counts the tokens whose signature was checked.
	verifications atomic.Int64
	// verified caches tokens whose signature was checked, keyed by the last 32 characters of the
	// signature. A hit compares the whole token. Hashing it would cost more than the rest of a
	// read.
	verified *otter.Cache[string, verifiedToken]
}

// verifiedToken is a token, its principal and its expiry. It is valid while keys is the current
// set.
type verifiedToken struct {
	token string
	*principal.Principal
	expires int64
	keys    *signing.Set
}

// maxVerifiedBytes is the size of the verified-token cache. An entry takes about a KiB.
const maxVerifiedBytes = 16 << 20

func newAccessTokens(keys *signing.Keys, opts Options) *accessTokens {
	verified := otter.Must(&otter.Options[string, verifiedToken]{
		Executor:      func(task func()) { task() }, // as in package cache
		MaximumWeight: maxVerifiedBytes,
		Weigher: func(_ string, t verifiedToken) uint32 {
			return uint32(len(t.token) + 256) //nolint:gosec // a header's length
		},
	})
	return &accessTokens{keys: keys, issuer: opts.Issuer, clock: opts.Clock, verified: verified, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "EdDSA", "RS256"}),
		jwt.WithIssuer(opts.Issuer), jwt.WithAudience(opts.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(signing.Leeway), jwt.WithTimeFunc(opts.Clock),
		jwt.WithStrictDecoding(), // each token has one encoding
	)}
}

// issue signs an access token of a session that expires ttl, in whole seconds, after now.
func (a *accessTokens) issue(p *Projection, session uuid.UUID, now time.Time, ttl time.Duration) (string, error) {
	jti, err := uuid.NewRandom()
	if err != nil {
		return "", err
	}
	key := a.keys.Current().Active
	token := jwt.NewWithClaims(key.Method, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: a.issuer, Audience: jwt.ClaimStrings{a.issuer}, Subject: p.ID.String(), ID: jti.String(),
		},
		ExpiresAt: now.Add(ttl).Unix(), IssuedAt: now.Unix(), ClientID: p.TenantID.String(), SessionID: session,
		TenantID: p.TenantID, Roles: p.Roles,
	})
	token.Header["typ"], token.Header["kid"] = tokenType, key.ID
	signed, err := token.SignedString(key.Private)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}

// verify returns the principal of a token. It checks the signature once as long as the keys stay
// the same. Every invalid token fails with errInvalidToken, and an outage with 503.
func (a *accessTokens) verify(ctx context.Context, token string) (*principal.Principal, error) {
	keys := a.keys.Current()
	if t, ok := a.verified.GetIfPresent(cacheKey(token)); ok && t.token == token && t.keys == keys &&
		a.clock().Unix() < t.expires {
		return t.Principal, nil
	}
	p, expires, err := a.read(ctx, token)
	if err == nil {
		token = strings.Clone(token)
		a.verified.Set(cacheKey(token), verifiedToken{token, p, expires, keys})
	}
	return p, err
}

// cacheKey returns the last 32 characters of a token, which are the end of its signature.
func cacheKey(token string) string { return token[max(0, len(token)-32):] }

// read checks the signature and the claims of a token and returns its principal and its expiry.
func (a *accessTokens) read(ctx context.Context, token string) (p *principal.Principal, expires int64, err error) {
	a.verifications.Add(1)
	var c claims
	if strings.ContainsAny(token, "\r\n") { // base64 skips line breaks
		err = errors.New("a line break in the token")
	} else {
		_, err = a.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return a.key(ctx, t) })
	}
	if err == nil {
		err = c.check(a.issuer)
	}
	var user uuid.UUID
	if err == nil {
		user, err = uuid.Parse(c.Subject)
	}
	if errors.Is(err, keyring.ErrSealed) { // the keys could not be read, so the token cannot be checked
		return nil, 0, problem.Unavailable(err)
	}
	if err != nil {
		return nil, 0, errInvalidToken.Because(err)
	}
	return &principal.Principal{
		Kind: principal.KindUser, TenantID: c.TenantID, UserID: user, CredentialID: c.SessionID,
	}, c.ExpiresAt, nil
}

// key returns the key that the header names. It accepts only the three header members that this
// server writes, so that a client cannot supply a key (RFC 8725 §3.1, §3.10).
func (a *accessTokens) key(ctx context.Context, t *jwt.Token) (any, error) {
	kid, ok := t.Header["kid"].(string)
	if !ok || len(t.Header) != 3 || t.Header["typ"] != tokenType {
		return nil, errors.New("not the header of an access token")
	}
	key, err := a.keys.Find(ctx, kid)
	if err != nil {
		return nil, err
	}
	if key == nil || key.Method.Alg() != t.Method.Alg() {
		return nil, errors.New("no such key")
	}
	return key.Public, nil
}

// check adds to the parser's checks: every claim is present, this server is the only audience, and
// the lifetime is at most signing.MaxLifetime.
func (c *claims) check(issuer string) error {
	if len(c.Audience) != 1 || c.Audience[0] != issuer || c.IssuedAt == 0 || c.ID == "" ||
		c.SessionID == uuid.Nil || c.TenantID == uuid.Nil {
		return errors.New("a claim is missing or ambiguous")
	}
	if lifetime := c.ExpiresAt - c.IssuedAt; lifetime <= 0 || lifetime > int64(signing.MaxLifetime.Seconds()) {
		return errors.New("lifetime out of bounds")
	}
	return nil
}
