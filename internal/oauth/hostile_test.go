package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// hostilities are what a provider may do instead of what it should, and the status that it is
// refused with.
var hostilities = []struct {
	name   string
	status int
	make   func(*apitest.Issuer)
}{
	{"issuer_of_another", http.StatusBadRequest, claim("iss", "https://accounts.google.com")},
	{"issuer_with_a_slash", http.StatusBadRequest, func(i *apitest.Issuer) { claim("iss", i.URL+"/")(i) }},
	{"no_issuer", http.StatusBadRequest, claim("iss", nil)},
	{"audience_of_another", http.StatusBadRequest, claim("aud", "another")},
	{"no_audience", http.StatusBadRequest, claim("aud", nil)},
	{"empty_audience", http.StatusBadRequest, claim("aud", []string{})},
	{"audiences_without_authorized_party", http.StatusBadRequest, claim("aud", []string{"tenantry", "another"})},
	{"authorized_party_is_another", http.StatusBadRequest, claim("azp", "another")},
	{"authorized_party_is_no_text", http.StatusBadRequest, claim("azp", []string{"tenantry"})},
	{"another_nonce", http.StatusBadRequest, claim("nonce", "another")},
	{"no_nonce", http.StatusBadRequest, claim("nonce", nil)},
	{"no_subject", http.StatusBadRequest, claim("sub", nil)},
	{"empty_subject", http.StatusBadRequest, claim("sub", "")},
	{"subject_that_is_no_text", http.StatusBadRequest, claim("sub", 42)},
	{"subject_with_a_nul", http.StatusBadRequest, claim("sub", "sub\x00")},
	{"endless_subject", http.StatusBadRequest, claim("sub", strings.Repeat("s", 256))},
	{"another_subject_in_letters_that_fold", http.StatusBadRequest, claim("\u017fub", "sub-2")},
	{"expired", http.StatusBadRequest, claim("exp", time.Now().Add(-time.Second).Unix())},
	{"no_expiry", http.StatusBadRequest, claim("exp", nil)},
	{"not_issued_at_any_time", http.StatusBadRequest, claim("iat", nil)},
	{"issued_in_the_future", http.StatusBadRequest, claim("iat", time.Now().Add(time.Hour).Unix())},
	{"not_yet_valid", http.StatusBadRequest, claim("nbf", time.Now().Add(time.Hour).Unix())},
	{"unknown_key", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Alter = func(header, _ map[string]any) {
			header["kid"] = "k2"
		}
	}},
	{"foreign_key", http.StatusBadRequest, func(i *apitest.Issuer) {
		foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			i.Fatal(err)
		}
		i.Sign = func(header, claims map[string]any) string { return i.SignedBy(foreign, header, claims) }
	}},
	{"two_keys_and_none_named", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Keys = append(i.Keys, jose.JSONWebKey{Key: &i.Key.PublicKey, KeyID: "k2", Algorithm: "ES256", Use: "sig"})
		i.Alter = func(header, _ map[string]any) { delete(header, "kid") }
	}},
	{"key_of_another_algorithm", http.StatusBadRequest, func(i *apitest.Issuer) { i.Keys[0].Algorithm = "ES384" }},
	{"key_for_encryption", http.StatusBadRequest, func(i *apitest.Issuer) { i.Keys[0].Use = "enc" }},
	{"no_keys", http.StatusBadRequest, func(i *apitest.Issuer) { i.Keys = nil }},
	{"not_signed", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Sign = func(header, claims map[string]any) string {
			header["alg"] = "none"
			return apitest.JWTPart(i.TB, header) + "." + apitest.JWTPart(i.TB, claims) + "."
		}
	}},
	{"signed_with_the_client_secret", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Sign = func(_, claims map[string]any) string { return macked(i, claims, []byte("a secret of the provider")) }
	}},
	{"algorithm_that_was_not_announced", http.StatusBadRequest, func(i *apitest.Issuer) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			i.Fatal(err)
		}
		i.Keys = append(i.Keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: "rsa", Use: "sig"})
		i.Sign = func(_, claims map[string]any) string {
			return josed(i, claims, jose.SigningKey{Algorithm: jose.RS256,
				Key: jose.JSONWebKey{Key: key, KeyID: "rsa"}})
		}
	}},
	{"no_id_token", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Sign = func(_, _ map[string]any) string {
			return ""
		}
	}},
	{"id_token_that_is_none", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Sign = func(_, _ map[string]any) string {
			return "a.b.c"
		}
	}},
	{"user_information_of_another", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Userinfo = map[string]any{"sub": "sub-2"}
	}},
	{"user_information_of_a_number", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.Userinfo = map[string]any{"sub": 1}
	}},
	{"no_email", http.StatusForbidden, func(i *apitest.Issuer) { delete(i.Claims, "email") }},
	{"email_that_is_none", http.StatusForbidden, func(i *apitest.Issuer) {
		i.Claims["email"] = "ada@acme.test\r\nBcc: x@y.test"
	}},
	{"email_that_is_no_text", http.StatusForbidden, func(i *apitest.Issuer) {
		i.Claims["email"] = []string{"ada@acme.test"}
	}},
	{"other_issuer_in_the_answer", http.StatusBadRequest, func(i *apitest.Issuer) {
		i.ResponseIssuer = "https://accounts.google.com"
	}},
	{"issuer_is_missing_in_the_answer", http.StatusBadRequest, func(i *apitest.Issuer) { i.AnnouncesIssuer = true }},
	{"discovery_of_another_issuer", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/.well-known/openid-configuration"] = text(`{"issuer":"https://accounts.google.com",` +
			`"authorization_endpoint":"https://a.test","token_endpoint":"https://a.test","jwks_uri":"https://a.test"}`)
	}},
	{"discovery_of_plain_http", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/.well-known/openid-configuration"] = text(`{"issuer":"` + i.URL +
			`","authorization_endpoint":"http://a.test","token_endpoint":"http://a.test","jwks_uri":"http://a.test"}`)
	}},
	{"discovery_without_keys", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/.well-known/openid-configuration"] = text(`{"issuer":"` + i.URL +
			`","authorization_endpoint":"https://a.test","token_endpoint":"https://a.test"}`)
	}},
	{"discovery_that_is_no_JSON", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/.well-known/openid-configuration"] = text("<html>")
	}},
	{"error_of_the_token_endpoint", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/token"] = failing(http.StatusInternalServerError)
	}},
	{"client_that_is_unknown_there", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/token"] = failing(http.StatusUnauthorized)
	}},
	{"token_endpoint_that_is_no_JSON", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/token"] = text("access_token")
	}},
	{"keys_that_are_no_JSON", http.StatusBadGateway, func(i *apitest.Issuer) { i.Handlers["/keys"] = text("[") }},
	{"keys_that_are_not_found", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/keys"] = failing(http.StatusNotFound)
	}},
	{"endless_answer", http.StatusBadGateway, func(i *apitest.Issuer) { i.Handlers["/token"] = endless }},
	{"endless_keys", http.StatusBadGateway, func(i *apitest.Issuer) { i.Handlers["/keys"] = endless }},
	{"redirect_to_this_machine", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/token"] = leading(i, http.StatusFound)
	}},
	{"redirect_that_repeats_the_post", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/token"] = leading(i, http.StatusTemporaryRedirect)
	}},
	{"redirect_of_the_keys", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/keys"] = leading(i, http.StatusFound)
	}},
	{"redirect_of_the_discovery", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/.well-known/openid-configuration"] = leading(i, http.StatusFound)
	}},
	{"endless_discovery", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/.well-known/openid-configuration"] = endless
	}},
	{"connection_that_is_cut", http.StatusBadGateway, func(i *apitest.Issuer) {
		i.Handlers["/token"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	}},
	{"stalling_token_endpoint", http.StatusGatewayTimeout, func(i *apitest.Issuer) { i.Handlers["/token"] = stalling }},
	{"stalling_in_mid_answer", http.StatusGatewayTimeout, func(i *apitest.Issuer) { i.Handlers["/keys"] = dribbling }},
}

// claim lies in one claim; nil leaves it out.
func claim(name string, value any) func(*apitest.Issuer) {
	return func(i *apitest.Issuer) {
		i.Alter = func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, body)
	}
}

func failing(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, `{"error":"invalid_client","error_description":"canary"}`)
	}
}

// leading redirects to a path of the issuer that must not be requested.
func leading(i *apitest.Issuer, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, i.URL+"/secret", status) }
}

// endless writes until the reader closes the connection.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for chunk := []byte(`{"a":"` + strings.Repeat("a",
		64<<10)); r.Context().Err() == nil; chunk = chunk[len(chunk)-1<<10:] {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// stalling says nothing for a minute.
func stalling(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client has disconnected
	select {
	case <-r.Context().Done():
	case <-time.After(time.Minute):
	}
}

// dribbling begins to answer and does not end.
func dribbling(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	fmt.Fprint(w, "{")
	if err := http.NewResponseController(w).Flush(); err == nil {
		stalling(w, r)
	}
}

// macked is a token that everyone who knows a secret can create.
func macked(i *apitest.Issuer, claims map[string]any, secret []byte) string {
	return josed(i, claims, jose.SigningKey{Algorithm: jose.HS256, Key: append(secret, make([]byte, 32)...)})
}

func josed(i *apitest.Issuer, claims map[string]any, key jose.SigningKey) string {
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		i.Error(err)
		return ""
	}
	encoded, err := json.Marshal(claims)
	if err != nil {
		i.Error(err)
		return ""
	}
	signed, err := signer.Sign(encoded)
	if err != nil {
		i.Error(err)
		return ""
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		i.Error(err)
	}
	return compact
}

func TestHostileProvider_cannotSignUsersIn(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		issuers, offers := map[string]*apitest.Issuer{}, []func(*config.Config){apitest.AllowLoopback}
		for n, h := range hostilities {
			i := apitest.NewIssuer(t)
			h.make(i)
			issuers[h.name] = i
			offers = append(offers, i.Configure(fmt.Sprintf("p%d", n)))
		}
		honest := apitest.NewIssuer(t)
		offers = append(offers, honest.Configure("honest"))
		s := apitest.Start(t, opts, offers...)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for n, h := range hostilities {
			begun := time.Now()
			a := s.Browser().Visit(fmt.Sprintf("/api/v1/auth/oauth/p%d/authorize", n))
			if a.Status != h.status {
				t.Errorf("%s: %d, want %d: %s", h.name, a.Status, h.status, a.Body)
			}
			if took := time.Since(begun); took > 6*time.Second {
				t.Errorf("%s: %s", h.name, took)
			}
			if issuers[h.name].Called("/secret") > 0 {
				t.Errorf("%s: a redirect was followed", h.name)
			}
			if strings.Contains(string(a.Body), "canary") || strings.Contains(string(a.Body), "127.0.0.1") {
				t.Errorf("%s: the answer repeats what the provider has said: %s", h.name, a.Body)
			}
		}
		ctx := principal.System(t.Context(), "test")
		if users, sessions := s.DB.Client.User.Query().CountX(ctx),
			s.DB.Client.RefreshToken.Query().CountX(ctx); users != 1 || sessions != 0 {
			t.Errorf("%d users and %d sessions, want the owner and none", users, sessions)
		}
		// Otherwise it would be something else that was refused.
		s.Expect(http.StatusOK, s.Browser().Visit("/api/v1/auth/oauth/honest/authorize"))
	})
}
