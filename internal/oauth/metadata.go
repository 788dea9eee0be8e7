package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"tenantry/ent/oauthprovider"
)

// maxKeys bounds the signing keys of a provider, and maxKeyID the length of a key ID.
const maxKeys, maxKeyID = 100, 255

// metadata are the properties of a provider that are not configured (OpenID Connect
// Discovery §3, RFC 8414 §2).
type metadata struct {
	Endpoints
	JWKS string
	// Algorithms sign ID tokens.
	Algorithms []string
	AuthStyle  oauth2.AuthStyle
	// NamesItself says that each answer by way of the browser has an iss (RFC 9207 §3).
	NamesItself bool
}

// openID reports whether a provider issues ID tokens.
func (u *upstream) openID() bool {
	return u.Kind != oauthprovider.KindGithub && u.Kind != oauthprovider.KindOauth2
}

// metadata returns the metadata of the provider. An OpenID provider is asked for it.
func (u *upstream) metadata(ctx context.Context) (metadata, error) {
	if !u.openID() {
		style := oauth2.AuthStyleInHeader // what every server has (RFC 6749 §2.3.1)
		if u.ClientSecret == "" || u.Kind == oauthprovider.KindGithub {
			style = oauth2.AuthStyleInParams
		}
		return metadata{Endpoints: u.Endpoints, AuthStyle: style, NamesItself: u.Issuer != ""}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	whole := func(metadata) bool { return true }
	known, err := u.providerClient.metadata.get(ctx, u.now, whole, func() (metadata, error) { return u.discover(ctx) })
	if u.ClientSecret == "" {
		known.AuthStyle = oauth2.AuthStyleInParams
	}
	return known, err
}

// discover reads the metadata of the issuer. It continues if the client of the request disconnects.
func (u *upstream) discover(ctx context.Context) (metadata, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var said claims
	if err := getJSON(ctx, u.providerClient.client(), strings.TrimSuffix(u.Issuer, "/")+
		"/.well-known/openid-configuration", "",
		&said); err != nil {
		return metadata{}, failed("discover "+u.Issuer, err)
	}
	if said.text("issuer") != u.Issuer { // OpenID Connect Discovery §4.3
		return metadata{}, failed("discover "+u.Issuer, fmt.Errorf("it says that its issuer is %.200q",
			said.text("issuer")))
	}
	m := metadata{
		Endpoints: Endpoints{said.text("authorization_endpoint"), said.text("token_endpoint"),
			said.text("userinfo_endpoint")},
		JWKS: said.text("jwks_uri"), AuthStyle: oauth2.AuthStyleInHeader,
		NamesItself: string(said["authorization_response_iss_parameter_supported"]) == "true",
	}
	for _, endpoint := range []string{m.Authorization, m.Token, m.JWKS} {
		if err := u.rules.checkURL(endpoint); err != nil {
			return metadata{}, failed("discover "+u.Issuer, fmt.Errorf("an endpoint %w", err))
		}
	}
	if u.rules.checkURL(m.Userinfo) != nil {
		m.Userinfo = "" // the ID token suffices
	}
	if methods := said.list("token_endpoint_auth_methods_supported"); len(methods) > 0 &&
		!slices.Contains(methods, "client_secret_basic") {
		m.AuthStyle = oauth2.AuthStyleInParams
	}
	algorithms := said.list("id_token_signing_alg_values_supported")
	for _, alg := range []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256,
		oidc.PS384, oidc.PS512, oidc.EdDSA} {
		if slices.Contains(algorithms, alg) { // never none, nor one whose key is the client's secret
			m.Algorithms = append(m.Algorithms, alg)
		}
	}
	if m.Algorithms == nil {
		m.Algorithms = []string{oidc.RS256}
	}
	return m, nil
}

// signingKeys returns the keys of the provider's key set. It is read again when they do not
// suffice, at most once in askAgain.
func (u *upstream) signingKeys(ctx context.Context, url string,
	suffice func([]jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	return u.providerClient.keys.get(ctx, u.now, suffice, func() ([]jose.JSONWebKey, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err := getJSON(ctx, u.providerClient.client(), url, "", &set); err != nil {
			return nil, failed("read the keys of "+u.Issuer, err)
		}
		var keys []jose.JSONWebKey
		for _, raw := range set.Keys {
			var k jose.JSONWebKey
			if k.UnmarshalJSON(raw) != nil {
				continue // a key of an unknown type does not make the others invalid (RFC 7517 §5)
			}
			if k.Use != "enc" && k.IsPublic() && k.Valid() && len(k.KeyID) <= maxKeyID && len(keys) < maxKeys {
				keys = append(keys, jose.JSONWebKey{Key: k.Key, KeyID: k.KeyID, Algorithm: k.Algorithm})
			}
		}
		return keys, nil
	})
}

// getJSON reads a JSON document, with a bearer token if there is one.
func getJSON(ctx context.Context, client *http.Client, url, token string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it is read whole by now
	if response.StatusCode != http.StatusOK {
		return &statusError{r.URL.Host, response.StatusCode}
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// statusError is an answer of a provider with another status than 200.
type statusError struct {
	host   string
	status int
}

// Error names the host and the status.
func (e *statusError) Error() string { return e.host + " answers " + strconv.Itoa(e.status) }
