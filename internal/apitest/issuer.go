package apitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tenantry/internal/config"
)

// Issuer is an OpenID provider for tests, which can misbehave. Every user is already signed in at
// it.
type Issuer struct {
	testing.TB
	*httptest.Server

	mu    sync.Mutex
	flows map[string]url.Values // queries of authorization requests, by code
	calls map[string]int        // number of requests, by path

	Key   *ecdsa.PrivateKey
	Clock func() time.Time
	// Claims are the claims of the user; those of the protocol are added.
	Claims map[string]any
	// Alter changes an ID token before it is signed.
	Alter func(header map[string]any, claims map[string]any)
	// Sign, if set, signs the ID token instead of Key.
	Sign func(header, claims map[string]any) string
	// Grant changes the response of the token endpoint.
	Grant func(document map[string]any)
	// Handlers replaces the responses of paths.
	Handlers map[string]http.HandlerFunc
	// ResponseIssuer is the parameter iss of the authorization response (RFC 9207). AnnouncesIssuer
	// announces the parameter in the metadata.
	ResponseIssuer  string
	AnnouncesIssuer bool
	// Keys is the published key set. The UserInfo endpoint exists if Userinfo is not nil.
	Keys     []jose.JSONWebKey
	Userinfo map[string]any
}

// NewIssuer starts an issuer with the user Ada.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{TB: t, Key: key, Clock: time.Now, flows: map[string]url.Values{}, calls: map[string]int{},
		Handlers: map[string]http.HandlerFunc{}}
	i.Keys = []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}
	i.Claims = map[string]any{"sub": "sub-1", "email": "ada@acme.test", "email_verified": true, "name": "Ada"}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

// Configure makes the issuer a provider of the server, with a name.
func (i *Issuer) Configure(name string) func(*config.Config) {
	return func(c *config.Config) {
		AllowLoopback(c)
		c.OAuthProviders = append(c.OAuthProviders, config.OAuthProvider{Name: name, Kind: "oidc", ClientID: "tenantry",
			ClientSecret: "a secret of the provider", Issuer: i.URL})
	}
}

// Called returns the number of requests for a path.
func (i *Issuer) Called(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls[path]
}

// Change runs do, which may change the fields of i, while no request is served.
func (i *Issuer) Change(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	do()
}

// ServeHTTP serves the endpoints of the provider.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.calls[r.URL.Path]++
	answer := i.Handlers[r.URL.Path]
	i.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		document := map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"jwks_uri":                                       i.URL + "/keys",
			"id_token_signing_alg_values_supported":          []string{"ES256", "none", "HS256"},
			"authorization_response_iss_parameter_supported": i.AnnouncesIssuer,
		}
		if i.Userinfo != nil {
			document["userinfo_endpoint"] = i.URL + "/userinfo"
		}
		i.Write(w, document)
	case "/keys":
		i.Write(w, jose.JSONWebKeySet{Keys: i.Keys})
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer access" {
			i.Errorf("user information with %q", r.Header.Get("Authorization"))
		}
		i.Write(w, i.Userinfo)
	case "/authorize":
		q := r.URL.Query()
		code := rand.Text()
		i.flows[code] = q
		to := url.Values{"state": {q.Get("state")}, "code": {code}}
		if i.ResponseIssuer != "" {
			to.Set("iss", i.ResponseIssuer)
		}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+to.Encode(), http.StatusFound)
	case "/token":
		i.Exchange(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Exchange checks a token request against the authorization request, and issues tokens.
func (i *Issuer) Exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	flow, ok := i.flows[r.PostFormValue("code")]
	delete(i.flows, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || flow.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) ||
		flow.Get("code_challenge_method") != "S256" ||
		r.PostFormValue("redirect_uri") != flow.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		i.Write(w, map[string]string{"error": "invalid_grant"})
		return
	}
	if id != "tenantry" || secret != url.QueryEscape("a secret of the provider") {
		i.Errorf("client %q with secret %q", id, secret)
	}
	now := i.Clock()
	header := map[string]any{"alg": "ES256", "kid": "k1", "typ": "JWT"}
	claims := map[string]any{
		"iss": i.URL, "aud": "tenantry", "nonce": flow.Get("nonce"), "iat": now.Unix(),
		"exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, i.Claims)
	if i.Alter != nil {
		i.Alter(header, claims)
	}
	sign := i.signed
	if i.Sign != nil {
		sign = i.Sign
	}
	document := map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60,
		"id_token": sign(header, claims)}
	if i.Grant != nil {
		i.Grant(document)
	}
	i.Write(w, document)
}

// signed returns a token signed with the issuer's key.
func (i *Issuer) signed(header, claims map[string]any) string {
	return i.SignedBy(i.Key, header, claims)
}

// SignedBy returns a token signed with a key.
func (i *Issuer) SignedBy(key *ecdsa.PrivateKey, header, claims map[string]any) string {
	content := JWTPart(i.TB, header) + "." + JWTPart(i.TB, claims)
	digest := sha256.Sum256([]byte(content))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		i.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return content + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// JWTPart returns a header or claims as a part of a JWT.
func JWTPart(t testing.TB, members map[string]any) string {
	encoded, err := json.Marshal(members)
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// Write writes a JSON document as the response.
func (i *Issuer) Write(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		i.Error(err)
	}
}
