package httpapi

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

const sessionPath = "/api/v1/auth/sessions/01890000-0000-7000-8000-000000000003"

// FuzzRequest holds that no request is too strange for an answer, and that an error is a problem
// that repeats nothing.
func FuzzRequest(f *testing.F) {
	const json, bearer = "application/json", "Bearer " + goodToken
	for _, path := range []string{
		mePath, mePath + "?include=roles,tenant", mePath + "?include=%00", mePath + "?include=roles&include=%ff",
		mePath + "?%zz", mePath + "?a;b", mePath + "?include[]=roles",
		mePath + "/", mePath + "/..%2f..%2freadyz", "/api/v1//users/me", "/api/v1/users/%00",
		"/api/v1/users/me%2f..%2f..", "//evil.test/api", "/%2e%2e/%2e%2e/etc/passwd", "*", "/",
		sessionPath, "/api/v1/auth/sessions/not-a-uuid", "/api/v1/auth/sessions/%00", "/api/v1/auth/sessions/..%2f" +
			canary, "/api/v1/auth/sessions/{id}",
		"/api/v1/auth/sessions/urn:uuid:01890000-0000-7000-8000-000000000003", "/api/v1/auth/sessions/%ff%fe",
		"/api/v1/auth/sessions/", "/.well-known/jwks.json",
	} {
		for _, method := range []string{"GET", "DELETE", "PATCH", "HEAD"} {
			f.Add(method, path, bearer, "", []byte{})
		}
	}
	for _, r := range refusals {
		f.Add("POST", loginPath, "", json, []byte(r.body))
	}
	for _, contentType := range []string{json, "application/json; charset=utf-16", "application/json; charset",
		"text/json", "multipart/form-data; boundary=x", ";", "\x00"} {
		f.Add("POST", loginPath, "", contentType, []byte(loginBody))
		f.Add("PATCH", mePath, bearer, contentType, []byte(`{"full_name":"Ada"}`))
	}
	for _, authorization := range []string{"", "Bearer", "Bearer ", "bearer " + goodToken, "Basic Og==", "Bearer " +
		canary, "Bearer \xff", "Bearer good, Bearer good"} {
		f.Add("POST", "/api/v1/auth/logout-all", authorization, "", []byte{})
	}
	a := start(f, func(s *setup) { s.Log = slog.New(slog.DiscardHandler) })
	f.Fuzz(func(t *testing.T, method, target, authorization, contentType string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // net/http has answered
		}
		r := (&http.Request{
			Method: method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: u.Host,
			RemoteAddr: "192.0.2.1:4711",
			Header:     http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
			RequestURI: target,
		}).WithContext(t.Context())
		for name, value := range map[string]string{"Authorization": authorization, "Content-Type": contentType} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		a.served.ServeHTTP(w, r)
		got := answer{w.Code, w.Header(), w.Body.Bytes()}
		if got.status >= http.StatusInternalServerError {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		if got.status >= http.StatusBadRequest {
			in := &app{TB: t, setup: a.setup}
			in.holdHeaders(got)
			in.holdProblem(got)
		}
	})
}
