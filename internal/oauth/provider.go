package oauth

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"tenantry/ent/oauthprovider"
	"tenantry/ent/schema/settings"
	"tenantry/internal/names"
	"tenantry/internal/problem"
)

// Provider is what is said of a provider when it is set up.
type Provider struct {
	Name         string
	Kind         Kind
	Label        string
	ClientID     string
	ClientSecret string
	Scopes       []string
	// Issuer is that of an OpenID provider, and Endpoints are those of an OAuth 2.0 server.
	Issuer    string
	Endpoints Endpoints
}

// Rules are what every provider of a server must keep.
type Rules struct {
	// Networks are those that are not public and may be called all the same. If this machine is
	// among them, it may be called over plain http.
	Networks []netip.Prefix
}

func (r Rules) loopback() bool {
	return slices.ContainsFunc(r.Networks, func(n netip.Prefix) bool { return n.Addr().IsLoopback() })
}

// complete fills in what is known of the kind, and names what is missing or wrong, by JSON pointer.
func (r Rules) complete(p *Provider) (wrong []problem.Field) {
	is, ok := presets()[p.Kind]
	if !ok {
		return []problem.Field{{Pointer: "/kind", Detail: "is not a kind of provider"}}
	}
	refuse := func(pointer, detail string) { wrong = append(wrong, problem.Field{Pointer: pointer, Detail: detail}) }
	if p.Label == "" {
		p.Label = is.label
	}
	var err error
	if p.Label, err = checkLabel(p.Label); err != nil {
		refuse("/label", err.Error())
	}
	if len(p.Scopes) == 0 {
		p.Scopes = is.scopes
	}
	switch {
	case p.Issuer == "":
		if p.Issuer = is.issuer; p.Issuer == "" && is.asks.issuer && !is.asks.endpoints {
			refuse("/issuer", "is required for this kind")
		}
	case !is.asks.issuer:
		refuse("/issuer", "is known for this kind")
	case r.checkURL(p.Issuer) != nil || strings.Contains(p.Issuer, "?"):
		refuse("/issuer", errURL.Error())
	}
	for _, e := range []struct {
		pointer string
		given   *string
		known   string
	}{
		{"/authorization_endpoint", &p.Endpoints.Authorization, is.endpoints.Authorization},
		{"/token_endpoint", &p.Endpoints.Token, is.endpoints.Token},
		{"/userinfo_endpoint", &p.Endpoints.Userinfo, is.endpoints.Userinfo},
	} {
		switch {
		case *e.given == "" && is.asks.endpoints:
			refuse(e.pointer, "is required for this kind")
		case *e.given == "":
			*e.given = e.known
		case !is.asks.endpoints:
			refuse(e.pointer, "is known for this kind")
		case r.checkURL(*e.given) != nil:
			refuse(e.pointer, errURL.Error())
		}
	}
	return append(wrong, p.checkScopes()...)
}

// checkLabel returns the form of a label that is stored and shown.
func checkLabel(label string) (string, error) {
	label, err := names.Text(label)
	if err == nil && label == "" {
		err = errors.New("must not be empty")
	}
	return label, err
}

// checkScopes holds that an OpenID provider is asked to be one (OIDC Core §3.1.2.1).
func (p *Provider) checkScopes() []problem.Field {
	if p.Kind == oauthprovider.KindOauth2 || p.Kind == oauthprovider.KindGithub || slices.Contains(p.Scopes, "openid") {
		return nil
	}
	return []problem.Field{{Pointer: "/scopes", Detail: "must have openid for an OpenID provider"}}
}

// maxURL is the length of the longest URL of a provider.
const maxURL = 2000

var errURL = errors.New("must be an https URL without user and fragment")

// checkURL refuses where the server must not be sent. What a name resolves to is looked at when it
// is called.
func (r Rules) checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxURL || u.Host == "" || u.Hostname() == "" || u.User != nil ||
		strings.Contains(s, "#") || u.String() != s {
		return errURL
	}
	if u.Scheme == "https" || (r.loopback() && u.Scheme == "http" && settings.Loopback(u.Hostname())) {
		return nil
	}
	return errURL
}
