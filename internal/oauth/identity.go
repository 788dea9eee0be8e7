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

// wholeNumber is an id that is one, however long.
var wholeNumber = regexp.MustCompile(`^[1-9][0-9]*$`)

// identity is who a provider says has signed in.
type identity struct {
	// Subject is who that is for ever, there.
	Subject string
	// Email is canonical, and empty if the provider names none. Verified says that the provider has
	// proved it.
	Email    string
	Verified bool
	Name     string
	// unread is why the provider was not asked for more, as a problem that names the address as
	// missing. It costs the sign-in only where an address is required.
	unread error
}

// claims are what a provider says of a user, in an ID token or as user information: by their exact
// names, and nothing decoded that is not asked for.
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
// verified: by the value true, and no word that looks like it (O-08).
func (c claims) email() (address string, verified bool) {
	address, err := auth.CanonicalEmail(c.text("email"))
	if err != nil {
		return "", false
	}
	return address, string(c["email_verified"]) == "true"
}

// identify exchanges the code of a callback and returns whose it is: 400 for what is not genuine,
// 502 and 504 for a provider that fails.
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

// config is the client that the provider knows.
func (u *upstream) config(m metadata, redirectURI string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: u.ClientID, ClientSecret: u.ClientSecret, RedirectURL: redirectURI, Scopes: u.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: m.AuthStyle},
	}
}

// byIDToken returns who an ID token speaks of (OIDC Core §3.1.3.7). The issuer and its keys are
// those that were set up, whatever the token says.
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
		return nil, notGenuine("there are two subjects") // in letters that the library takes for each other
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
// not need it: where the endpoint refuses or fails, as that of ADFS does, the identity says so and
// stays as it is. 400 for the user information of another user.
func (u *upstream) addUserinfo(ctx context.Context, m metadata, g grant, is *identity) error {
	ctx, cancel := context.WithTimeout(ctx, optionalPatience)
	defer cancel()
	var more claims
	if err := getJSON(ctx, u.peer.optional.client(), m.Userinfo, g.AccessToken, &more); err != nil {
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
		is.Verified = false // two documents, and not one opinion
	}
	if is.Name == "" {
		is.Name = more.text("name")
	}
	return nil
}

var errNoSubject = errors.New("the user information names no subject")

// addressUnread is the problem of a new user whose address could not be read: 403 if the provider
// refuses to tell it, otherwise that of a provider that fails.
func addressUnread(doing string, err error) error {
	refused, ok := errors.AsType[*statusError](err)
	if errors.Is(err, errNoSubject) || ok && refused.status < http.StatusInternalServerError &&
		refused.status != http.StatusTooManyRequests {
		return errNoEmail.Because(fmt.Errorf("%s: %w", doing, err))
	}
	return failed(doing, err)
}

// byUserinfo returns who an OAuth 2.0 server says that its access token is for. A name that can be
// given to somebody else is no subject.
func (u *upstream) byUserinfo(ctx context.Context, m metadata, g grant) (*identity, error) {
	var said claims
	if err := getJSON(ctx, u.peer.client(), m.Userinfo, g.AccessToken, &said); err != nil {
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

// keySet verifies the signature of one ID token, and keeps apart why there were no keys to do it
// with.
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

// notGenuine is the problem of an answer that does not prove who has signed in.
func notGenuine(why string) error {
	p := &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_id_token",
		Detail: "What the provider says of the user does not prove who that is."}
	return p.Because(errors.New(why[:min(len(why), 500)]))
}

func unprintable(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
