package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// OAuthProvider is an OAuth provider of the server, available in every tenant. It is configured by
// the variables that begin with TENANTRY_OAUTH_ and its name.
type OAuthProvider struct {
	// Name is the name in the variables, in lower case and with hyphens.
	Name string
	// Kind is the preset. Its default is the name.
	Kind, Label                                                    string
	ClientID, ClientSecret                                         string
	Issuer, AuthorizationEndpoint, TokenEndpoint, UserinfoEndpoint string
	// Scopes are nil if the variable is not set.
	Scopes []string
}

const oauthPrefix = "OAUTH_"

// oauthSettings are the suffixes of the variables, and the field that each sets.
var oauthSettings = map[string]func(*OAuthProvider, string){
	"KIND":                   func(p *OAuthProvider, v string) { p.Kind = v },
	"LABEL":                  func(p *OAuthProvider, v string) { p.Label = v },
	"CLIENT_ID":              func(p *OAuthProvider, v string) { p.ClientID = v },
	"CLIENT_SECRET":          func(p *OAuthProvider, v string) { p.ClientSecret = v },
	"ISSUER":                 func(p *OAuthProvider, v string) { p.Issuer = v },
	"AUTHORIZATION_ENDPOINT": func(p *OAuthProvider, v string) { p.AuthorizationEndpoint = v },
	"TOKEN_ENDPOINT":         func(p *OAuthProvider, v string) { p.TokenEndpoint = v },
	"USERINFO_ENDPOINT":      func(p *OAuthProvider, v string) { p.UserinfoEndpoint = v },
	"SCOPES": func(p *OAuthProvider, v string) {
		p.Scopes = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
	},
}

var oauthName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)

// oauthProviders returns the providers that values configure, by name. Package oauth checks that
// they are complete, since it knows the presets.
func oauthProviders(values map[string]string) (providers []OAuthProvider, mistakes []mistake) {
	settings := slices.Collect(maps.Keys(oauthSettings))
	named := map[string]*OAuthProvider{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name, ok := strings.CutPrefix(key, Prefix+oauthPrefix)
		if !ok {
			continue
		}
		short := strings.TrimPrefix(key, Prefix)
		if of, isFile := strings.CutSuffix(name, "_CLIENT_SECRET_FILE"); isFile {
			name, key = of+"_CLIENT_SECRET", strings.TrimSuffix(key, "_FILE")
			if err := readFile(values, key); err != nil {
				mistakes = append(mistakes, mistake{short, err})
				continue
			}
		}
		i := slices.IndexFunc(settings, func(s string) bool {
			return strings.HasSuffix(name, "_"+s) && oauthName.MatchString(strings.TrimSuffix(name, "_"+s))
		})
		if i < 0 {
			mistakes = append(mistakes, mistake{short,
				fmt.Errorf("is not a setting of an OAuth provider, such as %sOAUTH_GOOGLE_CLIENT_ID%s", Prefix,
					suggestOAuth(key))})
			continue
		}
		of := strings.TrimSuffix(name, "_"+settings[i])
		if named[of] == nil {
			lower := strings.ToLower(strings.ReplaceAll(of, "_", "-"))
			named[of] = &OAuthProvider{Name: lower, Kind: lower}
		}
		oauthSettings[settings[i]](named[of], values[key])
	}
	for _, of := range slices.Sorted(maps.Keys(named)) {
		if named[of].ClientID == "" {
			mistakes = append(mistakes, mistake{oauthPrefix + of + "_CLIENT_ID",
				fmt.Errorf("is required for the provider %s", named[of].Name)})
		}
		providers = append(providers, *named[of])
	}
	return providers, mistakes
}

// suggestOAuth returns a question with the setting of an OAuth provider that is nearest to a
// variable's name, or an empty string.
func suggestOAuth(key string) string {
	parts := strings.Split(strings.TrimPrefix(key, Prefix+oauthPrefix), "_")
	var names []string
	for n := 1; n < len(parts); n++ {
		of := Prefix + oauthPrefix + strings.Join(parts[:n], "_") + "_"
		for setting := range oauthSettings {
			names = append(names, of+setting)
		}
		names = append(names, of+"CLIENT_SECRET_FILE")
	}
	slices.Sort(names)
	return didYouMean(key, names)
}
