package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// client is a client of the API with a session.
type client struct {
	web  *http.Client
	opts Options
	n    int

	mu              sync.RWMutex
	access, refresh string
}

// scenario sends the n-th request.
type scenario func(ctx context.Context, c *client, n int) error

var scenarios = map[string]scenario{
	"me":      func(ctx context.Context, c *client, _ int) error { return c.get(ctx, "/api/v1/users/me") },
	"list":    func(ctx context.Context, c *client, _ int) error { return c.get(ctx, "/api/v1/users?limit=50") },
	"login":   func(ctx context.Context, c *client, _ int) error { return c.signIn(ctx) },
	"refresh": func(ctx context.Context, c *client, _ int) error { return c.renew(ctx) },
	// The requests of a front-end: mostly the user, sometimes lists and refreshes, seldom a
	// sign-in.
	"mixed": func(ctx context.Context, c *client, n int) error {
		switch p := (n*37 + c.n) % 100; {
		case p < 1:
			return c.signIn(ctx)
		case p < 10:
			return c.renew(ctx)
		case p < 15:
			return c.get(ctx, "/api/v1/users?limit=50")
		default:
			return c.get(ctx, "/api/v1/users/me")
		}
	},
}

// Scenarios returns the names of the scenarios.
func Scenarios() []string { return slices.Sorted(maps.Keys(scenarios)) }

// tokens are the tokens in the response to a sign-in or a refresh.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (c *client) signIn(ctx context.Context) error {
	credentials := map[string]string{"email": c.opts.Email, "password": c.opts.Password}
	if c.opts.Tenant != "" {
		credentials["tenant"] = c.opts.Tenant
	}
	return c.fetchTokens(ctx, "/api/v1/auth/login", credentials)
}

// renew refreshes the session. Concurrent refreshes with the same token return the same new tokens.
func (c *client) renew(ctx context.Context) error {
	c.mu.RLock()
	token := c.refresh
	c.mu.RUnlock()
	return c.fetchTokens(ctx, "/api/v1/auth/refresh", map[string]string{"refresh_token": token})
}

func (c *client) fetchTokens(ctx context.Context, path string, body any) error {
	var t tokens
	if err := c.call(ctx, http.MethodPost, path, body, &t); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.access, c.refresh = t.Access, t.Refresh
	return nil
}

func (c *client) get(ctx context.Context, path string) error {
	return c.call(ctx, http.MethodGet, path, nil, nil)
}

// call sends a request. A status other than 200 is an error.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.opts.URL+path, content)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	} else {
		c.mu.RLock()
		r.Header.Set("Authorization", "Bearer "+c.access)
		c.mu.RUnlock()
	}
	response, err := c.web.Do(r)
	if err != nil {
		return reason(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read to its end
	document, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return reason(err)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d", response.StatusCode)
	case into != nil:
		return json.Unmarshal(document, into)
	default:
		return nil
	}
}

// reason returns the innermost error, without the address, so that equal failures are counted
// together.
func reason(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
