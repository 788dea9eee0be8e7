package httpapi

import (
	"context"
	"net/http"
)

// Access to the parts of a browser's request and response that the contract's types do not have.

// Cookie returns the value of a cookie of the request, or "" if the request has no such cookie.
func Cookie(ctx context.Context, name string) string {
	req, ok := requestFrom(ctx)
	if !ok {
		return ""
	}
	cookie, err := req.http.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// Cookies returns the cookies of the request, in order.
func Cookies(ctx context.Context) []*http.Cookie {
	req, ok := requestFrom(ctx)
	if !ok {
		return nil
	}
	return req.http.Cookies()
}

// SetCookie adds a cookie to the response, which may be an error.
func SetCookie(ctx context.Context, cookie *http.Cookie) {
	if req, ok := requestFrom(ctx); ok {
		req.header.Add("Set-Cookie", cookie.String())
	}
}

// Host returns the host that the request was sent to, with its port.
func Host(ctx context.Context) string {
	req, ok := requestFrom(ctx)
	if !ok {
		return ""
	}
	return req.http.Host
}

// FormMember returns a form member that the contract does not declare, or "" if the form lacks it.
// The value is not validated.
func FormMember(ctx context.Context, name string) string {
	req, ok := requestFrom(ctx)
	if !ok {
		return ""
	}
	return req.form.Get(name)
}
