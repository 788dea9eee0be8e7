// Orders is a service that accepts the access tokens of Tenantry. It needs
// github.com/go-jose/go-jose/v4.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// claims are those of an access token that a service needs.
type claims struct {
	jwt.Claims
	Tenant string   `json:"tid"`
	Roles  []string `json:"roles"`
}

var errInvalidToken = errors.New("the access token is not valid")

// verifier verifies access tokens with the keys of their issuer.
type verifier struct {
	issuer string // TENANTRY_PUBLIC_URL, exactly

	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetched time.Time
}

// verify returns the claims of a bearer token: errInvalidToken if it is not valid, another error if
// the keys cannot be fetched.
func (v *verifier) verify(ctx context.Context, authorization string) (*claims, error) {
	scheme, raw, _ := strings.Cut(authorization, " ")
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil || !strings.EqualFold(scheme, "Bearer") ||
		token.Headers[0].ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return nil, errInvalidToken
	}
	key, err := v.key(ctx, token.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var c claims
	expected := jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{v.issuer}, Time: time.Now()}
	if key == nil || key.Algorithm != token.Headers[0].Algorithm || token.Claims(key.Key, &c) != nil ||
		c.Expiry == nil || c.ValidateWithLeeway(expected, 0) != nil || c.Tenant == "" || c.Subject == "" {
		return nil, errInvalidToken
	}
	return &c, nil
}

// key returns the key of an ID, or nil if the issuer does not publish it. The key set is cached for
// five minutes. For an unknown ID it is fetched again, but not within ten seconds of the last
// fetch, so that requests with invented IDs do not load the issuer.
func (v *verifier) key(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := time.Since(v.fetched)
	if found := v.keys.Key(id); len(found) == 1 && age < 5*time.Minute {
		return &found[0], nil
	}
	if age >= 10*time.Second {
		if err := v.fetch(ctx); err != nil {
			return nil, fmt.Errorf("fetch the keys of %s: %w", v.issuer, err)
		}
	}
	if found := v.keys.Key(id); len(found) == 1 {
		return &found[0], nil
	}
	return nil, nil
}

func (v *verifier) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.issuer+"/.well-known/jwks.json", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&keys); err != nil {
		return err
	}
	v.keys, v.fetched = keys, time.Now()
	return nil
}

// ServeHTTP answers with the caller's identity from the token.
func (v *verifier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := v.verify(r.Context(), r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case errors.Is(err, errInvalidToken):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
	case err != nil:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		// Read and write the rows of this tenant only.
		_ = json.NewEncoder(w).Encode(map[string]any{"tenant": c.Tenant, "user": c.Subject, "roles": c.Roles})
	}
}

func main() {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:"+
		cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	server := http.Server{
		Handler:           &verifier{issuer: cmp.Or(os.Getenv("ISSUER"), "http://127.0.0.1:8080")},
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.Serve(listener))
}
