package oauth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
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
	"tenantry/internal/names"
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
	// Email is canonical, and empty if the provider names none. Verified says that the provider has proved it.
	Email    string
	Verified bool
	Name     string
}

// claims are what a provider says of a user, in an ID token or as user information: by their exact names, and nothing decoded that is
// not asked for.
type claims map[string]json.RawMessage

// text returns a claim that is a string, "" for any other.
func (c claims) text(name string) (s string) {
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// email returns the address in canonical form and whether this document itself says that it is verified: by the value true, and no
// word that looks like it (O-08).
func (c claims) email() (address string, verified bool) {
	address, err := auth.CanonicalEmail(c.text("email"))
	if err != nil {
		return "", false
	}
	return address, string(c["email_verified"]) == "true"
}

// identify exchanges the code of a callback and returns whose it is: 400 for what is not genuine, 502 and 504 for a provider that
// fails.
func (u *upstream) identify(ctx context.Context, m metadata, code, redirectURI, verifier, nonce string) (*identity, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, u.peer.client())
	token, err := u.config(m, redirectURI).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode == "invalid_grant" {
		return nil, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_grant", Detail: "The provider does not accept its code."}
	}
	if err != nil {
		return nil, failed("exchange the code", err)
	}
	var is *identity
	if u.openID() {
		is, err = u.byIDToken(ctx, m, token, nonce)
	} else {
		is, err = u.byUserinfo(ctx, m, token)
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

// byIDToken returns who an ID token speaks of (OIDC Core §3.1.3.7). The issuer and its keys are those that were set up, whatever
// the token says.
func (u *upstream) byIDToken(ctx context.Context, m metadata, token *oauth2.Token, nonce string) (*identity, error) {
	raw, _ := token.Extra("id_token").(string)
	keys := &keySet{upstream: u, metadata: m}
	verifier := oidc.NewVerifier(u.Issuer, keys, &oidc.Config{ClientID: u.ClientID, SupportedSigningAlgs: m.Algorithms, Now: u.now})
	verified, err := verifier.Verify(ctx, raw)
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
	if m.Userinfo == "" {
		return is, nil
	}
	more, err := u.userinfo(ctx, m.Userinfo, token)
	if err != nil {
		return nil, err
	}
	if more.text("sub") != verified.Subject { // OIDC Core §5.3.2
		return nil, notGenuine("the user information is another's")
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
	return is, nil
}

// byUserinfo returns who an OAuth 2.0 server says that its access token is for. A name that can be given to somebody else is no
// subject.
func (u *upstream) byUserinfo(ctx context.Context, m metadata, token *oauth2.Token) (*identity, error) {
	said, err := u.userinfo(ctx, m.Userinfo, token)
	if err != nil {
		return nil, err
	}
	is := &identity{Subject: cmp.Or(said.text("sub"), said.text("id")), Name: said.text("name")}
	if id := string(said["id"]); is.Subject == "" && wholeNumber.MatchString(id) {
		is.Subject = id
	}
	if u.Kind != oauthprovider.KindGithub {
		is.Email, is.Verified = said.email()
		return is, nil
	}
	var addresses []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	if err := getJSON(ctx, u.peer.client(), m.Userinfo+"/emails", token.AccessToken, &addresses); err != nil {
		return nil, failed("read the addresses of the user", err)
	}
	for _, a := range addresses {
		if a.Primary {
			if is.Email, err = auth.CanonicalEmail(a.Email); err == nil {
				is.Verified = a.Verified
			}
		}
	}
	return is, nil
}

func (u *upstream) userinfo(ctx context.Context, url string, token *oauth2.Token) (said claims, err error) {
	if err := getJSON(ctx, u.peer.client(), url, token.AccessToken, &said); err != nil {
		return nil, failed("read the user information", err)
	}
	return said, nil
}

// keySet verifies the signature of one ID token, and keeps apart why there were no keys to do it with.
type keySet struct {
	*upstream
	metadata metadata
	err      error
}

// VerifySignature returns the payload of a token that one of the provider's keys has signed. Where there are several, the token
// must name one (OIDC Core §10.1).
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	var allowed []jose.SignatureAlgorithm
	for _, alg := range s.metadata.Algorithms {
		allowed = append(allowed, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(token, allowed)
	if err != nil {
		return nil, err
	}
	header := jws.Signatures[0].Header
	keys, err := s.signingKeys(ctx, s.metadata.JWKS, header.KeyID)
	if err != nil {
		s.err = err
		return nil, err
	}
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
	p := &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_id_token", Detail: "What the provider says of the user does not prove who that is."}
	return p.Because(errors.New(why[:min(len(why), 500)]))
}

// name makes what a provider calls a user fit to be stored: the user cannot correct it on the way.
func name(s string) string {
	kept := []rune(names.Visible(s))
	return names.Visible(string(kept[:min(len(kept), maxName)]))
}

func unprintable(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
