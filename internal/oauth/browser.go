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
	// nameCookie is the prefix of the cookie that carries the user's name from a form to the
	// callback.
	nameCookie = "tenantry-flow-name-"
	// endedCookie is the cookie of the last flow that has ended, for a repeated callback.
	endedCookie = "tenantry-flow-ended"
)

// redirect redirects a browser, with cookies.
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

// begunLink is the response that begins a link, with cookies.
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

// checkHost refuses a loopback host that differs from that of the public URL: the browser would not
// send the cookie of the flow to the callback. Another difference may be due to a proxy.
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

// formName returns the name of a user from the first form that Apple sends, or "" if the form has
// no valid name.
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

// keepName returns the cookie that carries a name to the callback, nil without a name. A URL would
// be in logs.
func (o *OAuth) keepName(state, name string) []*http.Cookie {
	if name == "" {
		return nil
	}
	return []*http.Cookie{o.cookie(o.cookieName(nameCookie, state), base64.RawURLEncoding.EncodeToString([]byte(name)),
		codeTTL)}
}

// keptName returns the name from the cookie, and deletes the cookie.
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

// name returns the name that a provider gives a user in a form that can be stored.
func name(s string) string {
	kept := []rune(names.Visible(s))
	return names.Visible(string(kept[:min(len(kept), maxName)]))
}
