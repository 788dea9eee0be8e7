package faults_test

import (
	"net/http"
	"testing"
	"time"

	"tenantry/internal/database/dbtest"
)

// A suspension, deactivation or deletion on one process refuses tokens, refreshes and sign-ins on
// the other within a second.
func TestSuspension_reachesOtherProcess(t *testing.T) {
	opts := dbtest.Postgres(t)
	first, second := serve(t, opts), serve(t, opts)
	root := signedIn(t, first)
	home := expect(t, http.StatusCreated)(root.call(t.Context(), http.MethodPost, "/api/v1/tenants", map[string]any{
		"slug": "beta", "name": "Beta", "owner": map[string]string{"email": "owner@beta.test", "password": password},
	}))
	signIn := func(p *process, email string) (*client, answer) {
		c := newClient(p)
		t.Cleanup(c.web.CloseIdleConnections)
		a, err := c.call(t.Context(), http.MethodPost, loginPath, map[string]string{"tenant": "beta", "email": email,
			"password": password})
		if err != nil {
			t.Fatal(err)
		}
		c.tokens = a.tokens
		return c, a
	}
	checkRefused := func(what string, of *client, email string) {
		t.Helper()
		within(t, time.Second, what, func() bool {
			_, again := signIn(second, email)
			return refused(t, second, of.tokens) && again.status == http.StatusUnauthorized
		})
	}
	act := func(by *client, method, path string, body any, status int) {
		t.Helper()
		expect(t, status)(by.call(t.Context(), method, path, body))
	}

	owner, _ := signIn(first, "owner@beta.test")
	ada := expect(t, http.StatusCreated)(owner.call(t.Context(), http.MethodPost, "/api/v1/users",
		map[string]string{"email": "ada@beta.test", "password": password}))
	hers, _ := signIn(second, "ada@beta.test")
	expect(t, http.StatusOK)(hers.me(t.Context()))

	act(root, http.MethodPost, "/api/v1/tenants/"+home.ID+"/suspend", nil, http.StatusNoContent)
	checkRefused("the tenant is suspended on the other process", hers, "ada@beta.test")
	act(root, http.MethodPost, "/api/v1/tenants/"+home.ID+"/resume", nil, http.StatusNoContent)
	within(t, time.Second, "the tenant is resumed", func() bool {
		a, err := hers.me(t.Context())
		return err == nil && a.status == http.StatusOK
	})

	act(owner, http.MethodPatch, "/api/v1/users/"+ada.ID, map[string]bool{"is_active": false}, http.StatusOK)
	checkRefused("the user is inactive on the other process", hers, "ada@beta.test")
	owner.url = second.url
	expect(t, http.StatusOK)(owner.me(t.Context()))

	act(root, http.MethodDelete, "/api/v1/tenants/"+home.ID, nil, http.StatusNoContent)
	checkRefused("the tenant is deleted on the other process", owner, "owner@beta.test")
}
