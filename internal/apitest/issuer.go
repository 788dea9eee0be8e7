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

// Issuer is an OpenID provider of the tests' own, which can be made to lie. Everybody who arrives
// has signed in already.
type Issuer struct {
	testing.TB
	*httptest.Server

	mu    sync.Mutex
	flows map[string]url.Values // of the authorization requests, by code
	calls map[string]int        // by path

	Key   *ecdsa.PrivateKey
	Clock func() time.Time
	// Claims are the claims of who is there; those of the protocol are added.
	Claims map[string]any
	// Alter changes an ID token before it is signed.
	Alter func(header map[string]any, claims map[string]any)
	// Sign makes a token of header and claims, instead of the key.
	Sign func(header, claims map[string]any) string
	// Grant changes what the token endpoint answers.
	Grant func(document map[string]any)
	// Handlers takes the place of what a path answers.
	Handlers map[string]http.HandlerFunc
	// ResponseIssuer is what the answer by way of the browser says of who sends it; AnnouncesIssuer
	// announces it.
	ResponseIssuer  string
	AnnouncesIssuer bool
	// Keys are published; the user information endpoint exists if Userinfo is not nil.
	Keys     []jose.JSONWebKey
	Userinfo map[string]any
}

// NewIssuer starts an issuer, at which Ada is signed in.
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

// Configure makes a server offer the issuer to every tenant, under a name.
func (i *Issuer) Configure(name string) func(*config.Config) {
	return func(c *config.Config) {
		AllowLoopback(c)
		c.OAuthProviders = append(c.OAuthProviders, config.OAuthProvider{Name: name, Kind: "oidc", ClientID: "tenantry",
			ClientSecret: "a secret of the provider", Issuer: i.URL})
	}
}

// Called returns how often a path was asked for.
func (i *Issuer) Called(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls[path]
}

// Change changes what the issuer does from now on.
func (i *Issuer) Change(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	do()
}

// ServeHTTP answers as the provider.
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

// Exchange holds the request to what the authorization request has promised, and issues tokens.
func (i *Issuer) Exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	flow, known := i.flows[r.PostFormValue("code")]
	delete(i.flows, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || flow.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) ||
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

// signed is a token by the issuer's key.
func (i *Issuer) signed(header, claims map[string]any) string {
	return i.SignedBy(i.Key, header, claims)
}

// SignedBy returns a token by a key.
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

// JWTPart is a part of a JWT.
func JWTPart(t testing.TB, members map[string]any) string {
	encoded, err := json.Marshal(members)
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// Write answers with a JSON document.
func (i *Issuer) Write(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		i.Error(err)
	}
}
