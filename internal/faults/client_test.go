package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

const (
	ownerEmail = "owner@acme.test"
	password   = "correct horse battery staple"
)

const (
	loginPath    = "/api/v1/auth/login"
	refreshPath  = "/api/v1/auth/refresh"
	logoutPath   = "/api/v1/auth/logout"
	registerPath = "/api/v1/auth/register"
	mePath       = "/api/v1/users/me"
)

// answer is what came back. Of a body only what these tests look at is kept.
type answer struct {
	status int
	header http.Header
	tokens
	ID       string `json:"id"`
	Email    string `json:"email"`
	FullName string `json:"full_name"`
	Code     string `json:"code"`
}

// tokens are what a client gets of a session.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// client is a client of the API with persistent connections.
type client struct {
	tokens
	// url is the process that it talks to.
	url string
	web *http.Client
}

func newClient(p *process) *client {
	return &client{url: p.url, web: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
		Timeout:   time.Minute, // longer than the server takes for anything
	}}
}

// signedIn returns a client with a session of the owner.
func signedIn(t testing.TB, p *process) *client {
	t.Helper()
	c := newClient(p)
	t.Cleanup(c.web.CloseIdleConnections)
	expect(t, http.StatusOK)(c.signIn(t.Context()))
	return c
}

// call sends a request, with the access token if there is one. The error is that of a request which
// was not answered.
func (c *client) call(ctx context.Context, method, path string, body any) (answer, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(content))
	if err != nil {
		return answer{}, err
	}
	if body == nil {
		r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Access != "" {
		r.Header.Set("Authorization", "Bearer "+c.Access)
	}
	response, err := c.web.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if content, err = io.ReadAll(response.Body); err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &a); err != nil {
			return answer{}, fmt.Errorf("read %q: %w", content, err)
		}
	}
	return a, nil
}

func (c *client) me(ctx context.Context) (answer, error) {
	return c.call(ctx, http.MethodGet, mePath, nil)
}

func (c *client) rename(ctx context.Context, name string) (answer, error) {
	return c.call(ctx, http.MethodPatch, mePath, map[string]string{"full_name": name})
}

// signIn starts a session of the owner, which the client uses from then on.
func (c *client) signIn(ctx context.Context) (answer, error) {
	return c.begin(ctx, loginPath, ownerEmail)
}

// openRegistration lets anybody register in the first tenant.
func openRegistration(t testing.TB, p *process) {
	t.Helper()
	settings := map[string]any{"settings": map[string]string{"registration": "open"}}
	expect(t, http.StatusOK)(signedIn(t, p).call(t.Context(), http.MethodPatch, "/api/v1/tenant", settings))
}

// register creates a user, whose session the client uses from then on.
func (c *client) register(ctx context.Context, email string) (answer, error) {
	return c.begin(ctx, registerPath, email)
}

func (c *client) begin(ctx context.Context, path, email string) (answer, error) {
	a, err := c.call(ctx, http.MethodPost, path, map[string]string{"email": email, "password": password})
	if a.Refresh != "" {
		c.tokens = a.tokens
	}
	return a, err
}

// present exchanges a refresh token, and leaves the client with those that it has.
func (c *client) present(ctx context.Context, token string) (answer, error) {
	return c.call(ctx, http.MethodPost, refreshPath, map[string]string{"refresh_token": token})
}

// refresh moves the session of the client on.
func (c *client) refresh(ctx context.Context) (answer, error) {
	a, err := c.present(ctx, c.Refresh)
	if a.Refresh != "" {
		c.tokens = a.tokens
	}
	return a, err
}

func (c *client) signOut(ctx context.Context, token string) (answer, error) {
	return c.call(ctx, http.MethodPost, logoutPath, map[string]string{"refresh_token": token})
}

// expect returns what fails the test unless a request was answered with the status.
func expect(t testing.TB, status int) func(answer, error) answer {
	t.Helper()
	return func(a answer, err error) answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if a.status != status {
			t.Fatalf("status %d %s, want %d", a.status, a.Code, status)
		}
		return a
	}
}
