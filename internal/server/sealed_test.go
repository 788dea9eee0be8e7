package server_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenantry/ent/signingkey"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// After a stolen secret was replaced without the previous one, a client secret cannot be decrypted:
// 503 at the beginning and at the end of a flow, with the row in the log, until another client secret
// is set.
func TestClientSecret_underAnotherSecretAnswers503(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own := newIssuer(t)
		s := start(t, opts, loopback)
		s.set("acme", welcoming)
		access, _ := s.login()
		path := s.createProvider(access, own.URL)
		id := strings.TrimPrefix(path, providersPath+"/")
		b := s.browser()
		callbacks := []string{b.returning(authorizePath), b.returning(authorizePath + "?redirect_uri=" + url.QueryEscape(application))}

		s.stopJobs() // one of them would make another key
		s.db.Client.SigningKey.Delete().ExecX(principal.System(t.Context(), "test"))
		replaced := start(t, opts, loopback, func(c *config.Config) { c.Secret = "another secret for tests that is long enough 4711" })
		moved := &browser{instance: replaced, Client: b.Client}
		b.instance = replaced
		// An application is told by a redirect.
		if landed := moved.visit(callbacks[1]).arrival(moved); landed.Get("error") != "temporarily_unavailable" || landed.Get("error_code") != "unavailable" {
			t.Errorf("arrived with %v", landed)
		}
		for _, where := range []string{callbacks[0], authorizePath} {
			if a := replaced.expect(http.StatusServiceUnavailable, moved.visit(where)); a.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", where)
			}
		}
		if n := strings.Count(replaced.log.String(), "client secret of OAuth provider "+id); n != 3 {
			t.Errorf("the row is in the log %d times", n)
		}
		access, _ = replaced.login()
		replaced.expect(http.StatusOK, replaced.call("PATCH", path, access, map[string]any{"client_secret": "a secret of the provider"}))
		replaced.expect(http.StatusOK, replaced.browser().visit(authorizePath))
	})
}

// A signing key that cannot be decrypted is an outage for a token of that key, and none for others.
func TestSigningKey_underAnotherSecretAnswers503(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		ctx := principal.System(t.Context(), "test")
		key := s.db.Client.SigningKey.Query().Where(signingkey.StateEQ(signingkey.StateActive)).OnlyX(ctx)
		s.db.Client.SigningKey.UpdateOne(key).SetState(signingkey.StateRetiring).SetRetireAt(time.Now().Add(time.Hour)).ExecX(ctx)
		s.db.Client.SigningKey.Create().SetKid("sealed-elsewhere").SetAlg(key.Alg).SetPublicKey(key.PublicKey).
			SetPrivateKey([]byte(strings.Repeat("x", 64))).SetState(signingkey.StateActive).SetNotBefore(time.Now()).SaveX(ctx)
		unknown := withKid(t, access, rand.Text())
		s.expect(http.StatusServiceUnavailable, s.call("GET", mePath, unknown, nil))
		if !strings.Contains(s.log.String(), "signing key sealed-elsewhere cannot be opened") {
			t.Error("the row is not in the log")
		}
		s.expect(http.StatusOK, s.call("GET", mePath, access, nil))
	})
}

// withKid returns a token with the id of another key, whose signature is not valid any more.
func withKid(t *testing.T, token, kid string) string {
	t.Helper()
	_, rest, _ := strings.Cut(token, ".")
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}`))
	return header + "." + rest
}
