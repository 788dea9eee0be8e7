package oauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"tenantry/ent/schema/settings"
	"tenantry/internal/api"
	"tenantry/internal/httpapi"
	"tenantry/internal/names"
	"tenantry/internal/problem"
)

const (
	// nameCookie begins the name of the cookie that carries what a form says of the user's name to
	// the callback.
	nameCookie = "tenantry-flow-name-"
	// endedCookie is the name of the cookie of the flow that has ended last, for a callback that is
	// repeated.
	endedCookie = "tenantry-flow-ended"
)

// redirect leads a browser on, with cookies.
type redirect struct {
	to      string
	cookies []*http.Cookie
}

func (r redirect) write(w http.ResponseWriter) error {
	for _, c := range r.cookies {
		http.SetCookie(w, c)
	}
	w.Header().Set("Location", r.to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// VisitAuthorizeOAuthResponse answers the beginning of a flow.
func (r redirect) VisitAuthorizeOAuthResponse(w http.ResponseWriter) error { return r.write(w) }

// VisitPostOAuthCallbackResponse answers a form of a provider.
func (r redirect) VisitPostOAuthCallbackResponse(w http.ResponseWriter) error { return r.write(w) }

// begunLink is where a link begins, with cookies.
type begunLink struct {
	api.OAuthLink
	cookies []*http.Cookie
}

// VisitLinkOAuthResponse answers the beginning of a link.
func (l begunLink) VisitLinkOAuthResponse(w http.ResponseWriter) error {
	for _, c := range l.cookies {
		http.SetCookie(w, c)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	return json.NewEncoder(w).Encode(l.OAuthLink)
}

// checkHost refuses to begin at another name of this machine than that of the public URL, at the
// same port: the browser would not send the cookie of the flow to the callback. Any other
// difference may be the work of a proxy.
func (o *OAuth) checkHost(ctx context.Context) error {
	at, public := url.URL{Host: httpapi.Host(ctx)}, url.URL{}
	if parsed, err := url.Parse(o.opts.PublicURL); err == nil {
		public = *parsed
	}
	if at.Hostname() == public.Hostname() || at.Port() != public.Port() || !settings.Loopback(at.Hostname()) ||
		!settings.Loopback(public.Hostname()) {
		return nil
	}
	return &problem.Problem{
		Status: http.StatusBadRequest, Code: "wrong_host",
		Detail: "The sign-in must begin at " + o.opts.PublicURL +
			", which TENANTRY_PUBLIC_URL names: the cookie of another host is not sent there.",
	}
}

// browserSecret returns the secret of the browser in which a flow began, or has ended.
func (o *OAuth) browserSecret(ctx context.Context, state string) string {
	return cmp.Or(httpapi.Cookie(ctx, o.cookieName(cookieName, state)),
		httpapi.Cookie(ctx, o.cookieName(endedCookie, "")))
}

// endedCookies removes the cookie of a flow that has ended, and keeps its secret as that of the
// last one, for as long as its outcome.
func (o *OAuth) endedCookies(f *flow) []*http.Cookie {
	return []*http.Cookie{o.cookie(o.cookieName(cookieName, f.state), "", 0),
		o.cookie(o.cookieName(endedCookie, ""), f.browser, outcomeTTL)}
}

// formName is the name of a user in the first form that Apple sends for them. Whatever else it is
// costs the name alone.
func formName(member string) string {
	var said struct {
		Name json.RawMessage `json:"name"`
	}
	if json.Unmarshal([]byte(member), &said) != nil {
		return ""
	}
	var whole string
	if json.Unmarshal(said.Name, &whole) == nil {
		return name(whole)
	}
	var parts claims
	if json.Unmarshal(said.Name, &parts) != nil {
		return ""
	}
	return name(strings.Join(strings.Fields(parts.text("firstName")+" "+parts.text("middleName")+" "+
		parts.text("lastName")), " "))
}

// keepName returns the cookie that carries a name to the callback, since a URL would be in logs;
// none where there is no name.
func (o *OAuth) keepName(state, name string) []*http.Cookie {
	if name == "" {
		return nil
	}
	return []*http.Cookie{o.cookie(o.cookieName(nameCookie, state), base64.RawURLEncoding.EncodeToString([]byte(name)),
		codeTTL)}
}

// keptName returns the name that a cookie carries, and removes the cookie.
func (o *OAuth) keptName(ctx context.Context, state string) string {
	kept := httpapi.Cookie(ctx, o.cookieName(nameCookie, state))
	if kept == "" {
		return ""
	}
	httpapi.SetCookie(ctx, o.cookie(o.cookieName(nameCookie, state), "", 0))
	decoded, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil {
		return ""
	}
	return name(string(decoded))
}

// name makes what a provider calls a user fit to be stored: the user cannot correct it on the way.
func name(s string) string {
	kept := []rune(names.Visible(s))
	return names.Visible(string(kept[:min(len(kept), maxName)]))
}
