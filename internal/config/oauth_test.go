package config_test

import (
	"reflect"
	"strings"
	"testing"

	"tenantry/internal/config"
)

func TestOAuth_providersAreReadByName(t *testing.T) {
	t.Parallel()
	c, err := load(t, nil,
		"TENANTRY_OAUTH_GOOGLE_CLIENT_ID=id", "TENANTRY_OAUTH_GOOGLE_CLIENT_SECRET_FILE="+write(t, "canary\n"),
		"TENANTRY_OAUTH_CORPORATE_SSO_KIND=oidc", "TENANTRY_OAUTH_CORPORATE_SSO_CLIENT_ID=x",
		"TENANTRY_OAUTH_CORPORATE_SSO_ISSUER=https://id.example.com",
		"TENANTRY_OAUTH_CORPORATE_SSO_SCOPES=openid, email",
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []config.OAuthProvider{
		{Name: "corporate-sso", Kind: "oidc", ClientID: "x", Issuer: "https://id.example.com",
			Scopes: []string{"openid", "email"}},
		{Name: "google", Kind: "google", ClientID: "id", ClientSecret: "canary"},
	}
	if !reflect.DeepEqual(c.OAuthProviders, want) {
		t.Errorf("%+v", c.OAuthProviders)
	}
}

func TestOAuth_allMistakesAreReported(t *testing.T) {
	t.Parallel()
	_, err := load(t, nil, "TENANTRY_OAUTH_GOOGLE_CLIENT_SECRET=canary", "TENANTRY_OAUTH_GOOGLE_CLIENTID=canary",
		"TENANTRY_OAUTH_CLIENT_ID=canary",
		"TENANTRY_OAUTH_GITHUB_CLIENT_ID=x", "TENANTRY_OAUTH_GITHUB_CLIENT_SECRET=canary",
		"TENANTRY_OAUTH_GITHUB_CLIENT_SECRET_FILE="+write(t, "canary"))
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range []string{"TENANTRY_OAUTH_GOOGLE_CLIENT_ID: is required",
		"TENANTRY_OAUTH_GOOGLE_CLIENTID: is not a setting", "TENANTRY_OAUTH_CLIENT_ID: is not a setting",
		"TENANTRY_OAUTH_GITHUB_CLIENT_SECRET_FILE: TENANTRY_OAUTH_GITHUB_CLIENT_SECRET and"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value is repeated: %v", err)
	}
}
