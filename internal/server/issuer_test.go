package server_test

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

// issuer is an OpenID provider of the tests' own, which can be made to lie. Everybody who arrives has signed in already.
type issuer struct {
	testing.TB
	*httptest.Server

	mu    sync.Mutex
	flows map[string]url.Values // of the authorization requests, by code
	calls map[string]int        // by path

	key   *ecdsa.PrivateKey
	clock func() time.Time
	// person are the claims of who is there; those of the protocol are added.
	person map[string]any
	// lie changes an ID token before it is signed.
	lie func(header map[string]any, claims map[string]any)
	// sign makes a token of header and claims, instead of the key.
	sign func(header, claims map[string]any) string
	// grant changes what the token endpoint answers.
	grant func(document map[string]any)
	// answer takes the place of what a path answers.
	answer map[string]http.HandlerFunc
	// iss is what the answer by way of the browser says of who sends it; NamesItself announces that it does.
	iss         string
	namesItself bool
	// keys are published; userinfo is there if it is not nil.
	keys     []jose.JSONWebKey
	userinfo map[string]any
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{TB: t, key: key, clock: time.Now, flows: map[string]url.Values{}, calls: map[string]int{}, answer: map[string]http.HandlerFunc{}}
	i.keys = []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}
	i.person = map[string]any{"sub": "sub-1", "email": "ada@acme.test", "email_verified": true, "name": "Ada"}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

// offer makes a server offer the issuer to every tenant, under a name.
func (i *issuer) offer(name string) func(*config.Config) {
	return func(c *config.Config) {
		loopback(c)
		c.OAuthProviders = append(c.OAuthProviders, config.OAuthProvider{Name: name, Kind: "oidc", ClientID: "tenantry", ClientSecret: "a secret of the provider", Issuer: i.URL})
	}
}

// called returns how often a path was asked for.
func (i *issuer) called(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls[path]
}

// change changes what the issuer does from now on.
func (i *issuer) change(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	do()
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.calls[r.URL.Path]++
	answer := i.answer[r.URL.Path]
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
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256", "none", "HS256"}, "authorization_response_iss_parameter_supported": i.namesItself,
		}
		if i.userinfo != nil {
			document["userinfo_endpoint"] = i.URL + "/userinfo"
		}
		i.write(w, document)
	case "/keys":
		i.write(w, jose.JSONWebKeySet{Keys: i.keys})
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer access" {
			i.Errorf("user information with %q", r.Header.Get("Authorization"))
		}
		i.write(w, i.userinfo)
	case "/authorize":
		q := r.URL.Query()
		code := rand.Text()
		i.flows[code] = q
		to := url.Values{"state": {q.Get("state")}, "code": {code}}
		if i.iss != "" {
			to.Set("iss", i.iss)
		}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+to.Encode(), http.StatusFound)
	case "/token":
		i.exchange(w, r)
	default:
		http.NotFound(w, r)
	}
}

// exchange holds the request to what the authorization request has promised, and issues tokens.
func (i *issuer) exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	flow, known := i.flows[r.PostFormValue("code")]
	delete(i.flows, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || flow.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) || flow.Get("code_challenge_method") != "S256" ||
		r.PostFormValue("redirect_uri") != flow.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		i.write(w, map[string]string{"error": "invalid_grant"})
		return
	}
	if id != "tenantry" || secret != url.QueryEscape("a secret of the provider") {
		i.Errorf("client %q with secret %q", id, secret)
	}
	now := i.clock()
	header := map[string]any{"alg": "ES256", "kid": "k1", "typ": "JWT"}
	claims := map[string]any{
		"iss": i.URL, "aud": "tenantry", "nonce": flow.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, i.person)
	if i.lie != nil {
		i.lie(header, claims)
	}
	sign := i.signed
	if i.sign != nil {
		sign = i.sign
	}
	document := map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": sign(header, claims)}
	if i.grant != nil {
		i.grant(document)
	}
	i.write(w, document)
}

// signed is a token by the issuer's key.
func (i *issuer) signed(header, claims map[string]any) string {
	return i.signedBy(i.key, header, claims)
}

func (i *issuer) signedBy(key *ecdsa.PrivateKey, header, claims map[string]any) string {
	content := part(i.TB, header) + "." + part(i.TB, claims)
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

// part is a part of a JWT.
func part(t testing.TB, members map[string]any) string {
	encoded, err := json.Marshal(members)
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

func (i *issuer) write(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		i.Error(err)
	}
}
