package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/problem"
)

// Who an OAuth 2.0 server without OpenID says has signed in.
func TestUserinfo_readsSubjectAndAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, userinfo, addresses string
		kind                      Kind
		want                      identity
	}{
		{"number", `{"id":9007199254740993,"login":"ada","email":"ada@acme.test","email_verified":true}`, "",
			oauthprovider.KindOauth2,
			identity{Subject: "9007199254740993", Email: "ada@acme.test", Verified: true}},
		{"text", `{"sub":"s","id":"i","name":"Ada"}`, "", oauthprovider.KindOauth2,
			identity{Subject: "s", Name: "Ada"}},
		{"id_that_is_text", `{"id":"i","email":"Ada@ACME.test"}`, "", oauthprovider.KindOauth2,
			identity{Subject: "i", Email: "ada@acme.test"}},
		{"float", `{"id":1.5}`, "", oauthprovider.KindOauth2, identity{}},
		{"exponent", `{"id":1e3}`, "", oauthprovider.KindOauth2, identity{}},
		{"negative", `{"id":-1}`, "", oauthprovider.KindOauth2, identity{}},
		{"zero", `{"id":0}`, "", oauthprovider.KindOauth2, identity{}},
		{"login_alone", `{"login":"ada","username":"ada"}`, "", oauthprovider.KindOauth2, identity{}},
		{"other_letters", `{"ID":1,"Sub":"s"}`, "", oauthprovider.KindOauth2, identity{}},
		{"object", `{"id":{"a":1},"sub":["s"]}`, "", oauthprovider.KindOauth2, identity{}},
		{"word", `{"id":1,"email":"ada@acme.test","email_verified":"true"}`, "", oauthprovider.KindOauth2,
			identity{Subject: "1", Email: "ada@acme.test"}},
		{"github", `{"id":1,"email":"public@acme.test","email_verified":true}`,
			`[{"email":"old@acme.test","primary":false,"verified":true},
				{"email":"Ada@acme.test","primary":true,"verified":true}]`,
			oauthprovider.KindGithub, identity{Subject: "1", Email: "ada@acme.test", Verified: true}},
		{"github_unverified", `{"id":1}`,
			`[{"email":"ada@acme.test","primary":true,"verified":false},{"email":"b@acme.test","verified":true}]`,
			oauthprovider.KindGithub, identity{Subject: "1", Email: "ada@acme.test"}},
		{"github_without_addresses", `{"id":1}`, `[]`, oauthprovider.KindGithub, identity{Subject: "1"}},
		{"github_address_that_is_none", `{"id":1}`, `[{"email":"x","primary":true,"verified":true}]`,
			oauthprovider.KindGithub, identity{Subject: "1"}},
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer access" {
				t.Errorf("%s: asked with %q", test.name, r.Header.Get("Authorization"))
			}
			body := test.userinfo
			if r.URL.Path == "/user/emails" {
				body = test.addresses
			}
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(web.Close)
		all, err := newProviderClients([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		if err != nil {
			t.Fatal(err)
		}
		u := &upstream{Provider: Provider{Kind: test.kind}, providerClient: all.of("p"), now: time.Now}
		got, err := u.byUserinfo(t.Context(), metadata{Endpoints: Endpoints{Userinfo: web.URL + "/user"}},
			grant{AccessToken: "access"})
		if err != nil || *got != test.want {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
}

// A key of an unknown type does not make the others unusable (RFC 7517 §5).
func TestKeys_ofUnknownTypesAreIgnored(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"kty":"AKP","alg":"ML-DSA-44","kid":"pq","pub":"AA"},
			{"kty":"EC","crv":"secp256k1","kid":"k","x":"AA","y":"AA"},
			{"kty":"oct","kid":"mac","k":"AAAA"},
			{"kty":"OKP","crv":"Ed25519","kid":"good","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
			{"kty":"OKP","crv":"Ed25519","kid":"cipher","use":"enc",
			"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	}))
	t.Cleanup(web.Close)
	all, err := newProviderClients([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{providerClient: all.of("p"), now: time.Now}
	keys, err := u.signingKeys(t.Context(), web.URL, func([]jose.JSONWebKey) bool { return true })
	if err != nil || len(keys) != 1 || keys[0].KeyID != "good" {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestName_ofAProviderIsMadeVisible(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		" Ada\u00a0King ": "Ada King", "Ad\u200ba\u202e": "Ada", "Ada\r\nBob": "Ada  Bob", "Cafe\u0301": "Caf\u00e9",
		"\ufeff": "", "\xffAda": "Ada",
		strings.Repeat("a", maxName+1): strings.Repeat("a", maxName), strings.Repeat("a", maxName-1) +
			" b": strings.Repeat("a", maxName-1),
		strings.Repeat("\u0639", maxName-1) + "\u200c\u0639": strings.Repeat("\u0639", maxName-1),
	} {
		if got := name(given); got != want {
			t.Errorf("%+q is stored as %+q", given, got)
		}
	}
}

// A GitHub App without the permission for addresses answers 403. A linked user needs no address,
// and the log says what is missing.
func TestGitHub_addressesRefusedLeaveTheUser(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{
		http.StatusForbidden: "email_missing", http.StatusNotFound: "email_missing",
		http.StatusInternalServerError: "provider_failed",
		http.StatusTooManyRequests:     "provider_failed",
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/user/emails" {
				http.Error(w, `{"message":"Resource not accessible by integration"}`, status)
				return
			}
			_, _ = w.Write([]byte(`{"id":1,"name":"Ada","email":"public@acme.test"}`))
		}))
		t.Cleanup(web.Close)
		all, err := newProviderClients([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		if err != nil {
			t.Fatal(err)
		}
		u := &upstream{Provider: Provider{Kind: oauthprovider.KindGithub}, providerClient: all.of("p"), now: time.Now}
		got, err := u.byUserinfo(t.Context(), metadata{Endpoints: Endpoints{Userinfo: web.URL + "/user"}},
			grant{AccessToken: "access"})
		if err != nil || got.Subject != "1" || got.Email != "" || got.Verified {
			t.Fatalf("%d: %+v, %v", status, got, err)
		}
		p, ok := errors.AsType[*problem.Problem](got.unread)
		if !ok || p.Code != code || !strings.Contains(p.Error(), `"Email addresses: Read-only"`) ||
			!strings.Contains(p.Error(), "user:email") {
			t.Errorf("%d: a new user is refused with %v", status, got.unread)
		}
	}
}
