package oauth

import "tenantry/ent/oauthprovider"

// Kind is the protocol of a provider and its preset.
type Kind = oauthprovider.Kind

// preset has the defaults of a kind of provider.
type preset struct {
	label     string
	scopes    []string
	issuer    string
	endpoints Endpoints
	// asks says which settings an operator may or must provide.
	asks asks
}

type asks struct {
	// issuer may be named, and must be if there is no default.
	issuer bool
	// endpoints must be named.
	endpoints bool
}

// Endpoints are the URLs of an OAuth 2.0 server (RFC 6749 §3), and of the user information.
type Endpoints struct{ Authorization, Token, Userinfo string }

var openID = []string{"openid", "email", "profile"}

// presets returns the preset of each kind.
func presets() map[Kind]preset {
	return map[Kind]preset{
		oauthprovider.KindGoogle: {label: "Google", scopes: openID, issuer: "https://accounts.google.com"},
		oauthprovider.KindApple: {label: "Apple", scopes: []string{"openid", "email", "name"},
			issuer: "https://appleid.apple.com"},
		oauthprovider.KindGitlab: {label: "GitLab", scopes: openID, issuer: "https://gitlab.com",
			asks: asks{issuer: true}},
		// The issuer of one directory: that of all directories takes it from the token, which is no
		// issuer at all.
		oauthprovider.KindMicrosoft: {label: "Microsoft", scopes: openID, asks: asks{issuer: true}},
		oauthprovider.KindGithub: {label: "GitHub", scopes: []string{"read:user", "user:email"}, endpoints: Endpoints{
			"https://github.com/login/oauth/authorize", "https://github.com/login/oauth/access_token",
			"https://api.github.com/user",
		}},
		oauthprovider.KindOidc: {label: "Single sign-on", scopes: openID, asks: asks{issuer: true}},
		oauthprovider.KindOauth2: {label: "Single sign-on", scopes: []string{},
			asks: asks{issuer: true, endpoints: true}},
	}
}
