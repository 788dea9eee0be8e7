package oauth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/auth"
	"tenantry/internal/problem"
)

const (
	// maxSubject is the length of the longest subject (OIDC Core §2), in bytes.
	maxSubject = 255
	// maxName is how much of a name is kept, in code points.
	maxName = 200
	// skew is how far ahead the clock of a provider may be.
	skew = time.Minute
)

// wholeNumber matches an ID that is a whole number of any length.
var wholeNumber = regexp.MustCompile(`^[1-9][0-9]*$`)

// identity is the user that a provider has identified.
type identity struct {
	// Subject is the permanent ID of the user at the provider.
	Subject string
	// Email is canonical, and empty if the provider names none. Verified says that the provider has
	// verified it.
	Email    string
	Verified bool
	Name     string
	// unread is why the user information could not be read, as a problem that names the address as
	// missing. It fails the sign-in only if an address is required.
	unread error
}

// claims are the claims of a provider about a user, from an ID token or the userinfo endpoint.
// Names are compared exactly, and only claims that are used are decoded.
type claims map[string]json.RawMessage

// text returns a claim that is a string, "" for any other.
func (c claims) text(name string) (s string) {
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// list returns a claim that is a list of strings, nil for any other.
func (c claims) list(name string) (l []string) {
	if json.Unmarshal(c[name], &l) != nil {
		return nil
	}
	return l
}

// email returns the address in canonical form and whether this document itself says that it is
// verified: by the value true, not by text (O-08).
func (c claims) email() (address string, verified bool) {
	address, err := auth.CanonicalEmail(c.text("email"))
	if err != nil {
		return "", false
	}
	return address, string(c["email_verified"]) == "true"
}

// identify exchanges the code of a callback and returns the identity: 400 for a response that is
// not genuine, 502 and 504 if the provider fails.
func (u *upstream) identify(ctx context.Context, m metadata, code, redirectURI, verifier, nonce string) (*identity,
	error) {
	g, err := u.exchange(ctx, m, code, redirectURI, verifier)
	if err != nil {
		return nil, err
	}
	var is *identity
	if u.openID() {
		is, err = u.byIDToken(ctx, m, g, nonce)
	} else {
		is, err = u.byUserinfo(ctx, m, g)
	}
	if err != nil {
		return nil, err
	}
	if is.Subject == "" || len(is.Subject) > maxSubject || strings.ContainsFunc(is.Subject, unprintable) {
		return nil, notGenuine("the subject is empty, too long or no text")
	}
	is.Name = name(is.Name)
	return is, nil
}

// config returns the configuration of the client at the provider.
func (u *upstream) config(m metadata, redirectURI string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: u.ClientID, ClientSecret: u.ClientSecret, RedirectURL: redirectURI, Scopes: u.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: m.AuthStyle},
	}
}

// byIDToken returns the identity of an ID token (OIDC Core §3.1.3.7). The issuer and its keys are
// the configured ones, never those that the token names.
func (u *upstream) byIDToken(ctx context.Context, m metadata, g grant, nonce string) (*identity, error) {
	keys := &keySet{upstream: u, metadata: m}
	verifier := oidc.NewVerifier(u.Issuer, keys, &oidc.Config{ClientID: u.ClientID, SupportedSigningAlgs: m.Algorithms,
		Now: u.now})
	verified, err := verifier.Verify(ctx, g.IDToken)
	if keys.err != nil {
		return nil, keys.err
	}
	if err != nil {
		return nil, notGenuine(err.Error())
	}
	var said claims
	if err := verified.Claims(&said); err != nil {
		return nil, notGenuine(err.Error())
	}
	_, named := said["azp"]
	switch {
	case said.text("sub") != verified.Subject:
		return nil, notGenuine("there are two subjects") // which differ in case and are one to the library
	case subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(nonce)) != 1:
		return nil, notGenuine("the nonce is another")
	case (named || len(verified.Audience) > 1) && said.text("azp") != u.ClientID:
		return nil, notGenuine("the authorized party is another")
	case verified.IssuedAt.IsZero() || verified.IssuedAt.After(u.now().Add(skew)):
		return nil, notGenuine("it is not said when it was issued, or that is yet to come")
	}
	is := &identity{Subject: verified.Subject, Name: said.text("name")}
	is.Email, is.Verified = said.email()
	if m.Userinfo == "" || g.AccessToken == "" {
		return is, nil
	}
	return is, u.addUserinfo(ctx, m, g, is)
}

// addUserinfo adds what the userinfo endpoint says to the identity of an ID token. The sign-in does
// not need it: if the endpoint refuses or fails, as that of ADFS does, the identity keeps the
// reason. It fails with 400 for the user information of another user.
func (u *upstream) addUserinfo(ctx context.Context, m metadata, g grant, is *identity) error {
	ctx, cancel := context.WithTimeout(ctx, optionalPatience)
	defer cancel()
	var more claims
	if err := getJSON(ctx, u.providerClient.optional.client(), m.Userinfo, g.AccessToken, &more); err != nil {
		is.unread = addressUnread("read the user information", err)
		return nil
	}
	if more["sub"] == nil { // its other members must not be used (OIDC Core §5.3.2)
		is.unread = addressUnread("read the user information", errNoSubject)
		return nil
	}
	if more.text("sub") != is.Subject {
		return notGenuine("the user information is another's")
	}
	address, proved := more.email()
	switch {
	case is.Email == "":
		is.Email, is.Verified = address, proved
	case address != "" && address != is.Email, string(more["email_verified"]) == "false":
		is.Verified = false // the two documents differ
	}
	if is.Name == "" {
		is.Name = more.text("name")
	}
	return nil
}

var errNoSubject = errors.New("the user information names no subject")

// addressUnread is the problem of a new user whose address could not be read: 403 if the provider
// refuses it, otherwise that of a failed provider.
func addressUnread(doing string, err error) error {
	refused, ok := errors.AsType[*statusError](err)
	if errors.Is(err, errNoSubject) || ok && refused.status < http.StatusInternalServerError &&
		refused.status != http.StatusTooManyRequests {
		return errNoEmail.Because(fmt.Errorf("%s: %w", doing, err))
	}
	return failed(doing, err)
}

// byUserinfo returns the user of an access token of an OAuth 2.0 server. A name that can be
// reassigned to another user is not accepted as subject.
func (u *upstream) byUserinfo(ctx context.Context, m metadata, g grant) (*identity, error) {
	var said claims
	if err := getJSON(ctx, u.providerClient.client(), m.Userinfo, g.AccessToken, &said); err != nil {
		return nil, failed("read the user information", err)
	}
	is := &identity{Subject: cmp.Or(said.text("sub"), said.text("id")), Name: said.text("name")}
	if id := string(said["id"]); is.Subject == "" && wholeNumber.MatchString(id) {
		is.Subject = id
	}
	if u.Kind != oauthprovider.KindGithub {
		is.Email, is.Verified = said.email()
		return is, nil
	}
	u.addGitHubAddress(ctx, m, g, is)
	return is, nil
}

// keySet verifies the signature of one ID token. It distinguishes a failure to read the keys from a
// wrong signature.
type keySet struct {
	*upstream
	metadata metadata
	err      error
}

// VerifySignature returns the payload of a token that one of the provider's keys has signed. Where
// there are several, the token must name one (OIDC Core §10.1).
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	var allowed []jose.SignatureAlgorithm
	for _, alg := range s.metadata.Algorithms {
		allowed = append(allowed, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(token, allowed)
	if err != nil {
		return nil, err
	}
	var payload []byte
	var refusal error
	verifies := func(keys []jose.JSONWebKey) bool {
		payload, refusal = verify(jws, keys)
		return refusal == nil
	}
	// A provider may replace a key under its kid, so that the set is fetched again when none of its
	// kept keys verifies.
	keys, err := s.signingKeys(ctx, s.metadata.JWKS, verifies)
	if err != nil {
		s.err = err
		return nil, err
	}
	if payload == nil {
		verifies(keys)
	}
	return payload, refusal
}

// verify returns the payload of a token that one of the keys has signed.
func verify(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, error) {
	header := jws.Signatures[0].Header
	if header.KeyID == "" && len(keys) > 1 {
		return nil, errors.New("it does not name its key")
	}
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("none of the provider's keys has signed it")
}

// notGenuine is the problem of a response that proves no identity.
func notGenuine(why string) error {
	p := &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_id_token",
		Detail: "What the provider says of the user does not prove who that is."}
	return p.Because(errors.New(why[:min(len(why), 500)]))
}

func unprintable(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
