package quickstart_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	User         struct {
		ID       string `json:"id"`
		TenantID string `json:"tenant_id"`
	} `json:"user"`
}

func signIn(t *testing.T, issuer string) tokens {
	t.Helper()
	body, err := json.Marshal(map[string]string{"tenant": "default", "email": email, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/api/v1/auth/login",
		bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got tokens
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("sign-in: %d, %v", response.StatusCode, err)
	}
	return got
}

// refuse sends a valid token of the product to a service, and tokens with one defect each. The
// latter are signed by an issuer of the test, which the same service trusts.
func refuse(t *testing.T, start func(*testing.T, string) string, product string, real tokens) {
	t.Helper()
	orders := start(t, product) + "/orders"
	status, body := get(t, orders, "Bearer "+real.AccessToken)
	var got struct {
		Tenant, User string
		Roles        []string
	}
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	if got.Tenant != real.User.TenantID || got.User != real.User.ID || !slices.Equal(got.Roles, []string{"owner"}) {
		t.Errorf("%+v, of %+v", got, real.User)
	}
	head, signature := real.AccessToken[:strings.LastIndexByte(real.AccessToken, '.')+1],
		[]byte(real.AccessToken[strings.LastIndexByte(real.AccessToken, '.')+1:])
	signature[10] ^= 1
	for name, authorization := range map[string]string{
		"none": "", "basic": "Basic " + real.AccessToken, "refresh token": "Bearer " + real.RefreshToken,
		"altered": "Bearer " + head + string(signature),
	} {
		expect(t, name, http.StatusUnauthorized, orders, authorization)
	}
	i := newIssuer(t)
	forged := start(t, i.url) + "/orders"
	expect(t, "complete", http.StatusOK, forged, "Bearer "+i.token(t, "at+jwt", i.claims()))
	for name, token := range i.wrong(t) {
		expect(t, name, http.StatusUnauthorized, forged, "Bearer "+token)
	}
	away := httptest.NewServer(http.NotFoundHandler())
	defer away.Close()
	expect(t, "keys cannot be fetched", http.StatusServiceUnavailable, start(t, away.URL)+"/orders", "Bearer "+
		real.AccessToken)
}

func expect(t *testing.T, name string, want int, url, authorization string) {
	t.Helper()
	if got, body := get(t, url, authorization); got != want {
		t.Errorf("%s: %d %s, want %d", name, got, body, want)
	}
}

// issuer signs the tokens of the test.
type issuer struct {
	url string
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: key.Public(), KeyID: "key-1", Algorithm: "ES256", Use: "sig"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	}))
	t.Cleanup(server.Close)
	return &issuer{url: server.URL, key: key}
}

func (i *issuer) claims() map[string]any {
	return map[string]any{
		"iss": i.url, "aud": i.url, "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "sub": "ada",
		"tid": "acme", "roles": []string{},
	}
}

func (i *issuer) token(t *testing.T, typ string, claims map[string]any) string {
	t.Helper()
	return sign(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "key-1"}}, typ,
		claims)
}

func sign(t *testing.T, key jose.SigningKey, typ string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithHeader(jose.HeaderType, typ))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// wrong are tokens that a service must refuse, each for one reason.
func (i *issuer) wrong(t *testing.T) map[string]string {
	t.Helper()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{
		"another type": i.token(t, "JWT", i.claims()),
		"another key": sign(t, jose.SigningKey{Algorithm: jose.ES256,
			Key: jose.JSONWebKey{Key: other, KeyID: "key-1"}}, "at+jwt", i.claims()),
		"unknown key": sign(t, jose.SigningKey{Algorithm: jose.ES256,
			Key: jose.JSONWebKey{Key: i.key, KeyID: "key-2"}}, "at+jwt", i.claims()),
		"shared secret": sign(t, jose.SigningKey{Algorithm: jose.HS256,
			Key: jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "key-1"}}, "at+jwt", i.claims()),
		"not signed": "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoia2V5LTEifQ." +
			strings.Split(i.token(t, "at+jwt", i.claims()), ".")[1] + ".",
		"no token": "x",
	}
	for name, value := range map[string]any{"iss": "https://other.test", "aud": "https://other.test",
		"exp": time.Now().Add(-time.Minute).Unix()} {
		claims := i.claims()
		claims[name] = value
		found["wrong "+name] = i.token(t, "at+jwt", claims)
		delete(claims, name)
		found["no "+name] = i.token(t, "at+jwt", claims)
	}
	return found
}
