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

// claims are all that an access token says: no personal data, and no permission, which may change before it expires.
type claims struct {
	jwt.RegisteredClaims
	// Times are whole seconds since 1970. The library's own would also be read from text.
	ExpiresAt int64 `json:"exp"`
	IssuedAt  int64 `json:"iat"`
	NotBefore int64 `json:"nbf,omitempty"`
	// ClientID is that of the tenant's first-party client, which has the id of the tenant (RFC 9068 §2.2). It is not required of a
	// token: those of an instance before an upgrade have none.
	ClientID  string    `json:"client_id"`
	SessionID uuid.UUID `json:"sid"`
	TenantID  uuid.UUID `json:"tid"`
	Roles     []string  `json:"roles"`
}

// GetExpirationTime returns the time after which the token is not accepted, nil if there is none.
func (c claims) GetExpirationTime() (*jwt.NumericDate, error) { return date(c.ExpiresAt), nil }

// GetIssuedAt returns when the token was made, nil if it does not say so.
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
	keys     *signing.Keys
	issuer   string
	clock    func() time.Time
	parser   *jwt.Parser
	verified atomic.Int64
	// known are tokens that were verified, by their ends. A hash of all of one would take longer than the rest of looking it up.
	known *otter.Cache[string, knownToken]
}

// knownToken is a whole token, who it speaks for, and until when, by the keys of its time.
type knownToken struct {
	token string
	*principal.Principal
	expires int64
	keys    *signing.Set
}

// maxKnownBytes is how much verified tokens may take, at about a KiB each.
const maxKnownBytes = 16 << 20

func newAccessTokens(keys *signing.Keys, opts Options) *accessTokens {
	known := otter.Must(&otter.Options[string, knownToken]{
		Executor:      func(task func()) { task() }, // as in package cache
		MaximumWeight: maxKnownBytes,
		Weigher:       func(_ string, t knownToken) uint32 { return uint32(len(t.token) + 256) }, //nolint:gosec // a header's length
	})
	return &accessTokens{keys: keys, issuer: opts.Issuer, clock: opts.Clock, known: known, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "EdDSA", "RS256"}),
		jwt.WithIssuer(opts.Issuer), jwt.WithAudience(opts.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(signing.Leeway), jwt.WithTimeFunc(opts.Clock),
		jwt.WithStrictDecoding(), // one spelling of each token
	)}
}

// issue signs a token of a session that lives for ttl, in whole seconds, from now.
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
		ExpiresAt: now.Add(ttl).Unix(), IssuedAt: now.Unix(), ClientID: p.TenantID.String(), SessionID: session, TenantID: p.TenantID, Roles: p.Roles,
	})
	token.Header["typ"], token.Header["kid"] = tokenType, key.ID
	signed, err := token.SignedString(key.Private)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}

// verify returns who a token speaks for, which is looked into once as long as the keys stay the same. Whatever is wrong with it, the client
// hears the same; only an outage is told apart.
func (a *accessTokens) verify(ctx context.Context, token string) (*principal.Principal, error) {
	keys := a.keys.Current()
	if t, ok := a.known.GetIfPresent(end(token)); ok && t.token == token && t.keys == keys && a.clock().Unix() < t.expires {
		return t.Principal, nil
	}
	p, expires, err := a.read(ctx, token)
	if err == nil {
		token = strings.Clone(token)
		a.known.Set(end(token), knownToken{token, p, expires, keys})
	}
	return p, err
}

// end is the last part of the signature, of which no two are the same.
func end(token string) string { return token[max(0, len(token)-32):] }

// read verifies a token and returns who it speaks for, and until when.
func (a *accessTokens) read(ctx context.Context, token string) (p *principal.Principal, expires int64, err error) {
	a.verified.Add(1)
	var c claims
	if strings.ContainsAny(token, "\r\n") { // which base64 would skip
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
	if errors.Is(err, keyring.ErrSealed) { // the keys could not be read, so that nothing is known of the token
		return nil, 0, problem.Unavailable(err)
	}
	if err != nil {
		return nil, 0, errInvalidToken.Because(err)
	}
	return &principal.Principal{TenantID: c.TenantID, UserID: user, SessionID: c.SessionID}, c.ExpiresAt, nil
}

// key returns the key that the header names. A header has the three members that this server writes and no other: none is
// a way to bring one's own key (RFC 8725 §3.1, §3.10).
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

// check is what the parser leaves open: every claim is there, the audience is this server alone, and nobody lives longer
// than they may.
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
