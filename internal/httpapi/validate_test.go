package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tenantry/internal/api"
)

func TestBody_errorNamesEachInvalidMemberOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		name, path, body string
		pointers         []string
	}{
		{"nothing", loginPath, `{}`, []string{"/email", "/password"}},
		{"wrong_types", loginPath, `{"email":{"password":"` + canary + `"},"password":["` + canary +
			`"],"tenant":4711}`, []string{"/email", "/password", "/tenant"}},
		{"null_members", loginPath, `{"email":null,"password":null,"tenant":null}`,
			[]string{"/email", "/password", "/tenant"}},
		{"too_long", loginPath, `{"email":"` + long + `","password":"` + strings.Repeat(canary, 100) + `"}`,
			[]string{"/email", "/password"}},
		{"unknown_and_missing", loginPath, `{"zeta":1,"alpha":"` + canary + `"}`,
			[]string{"/alpha", "/email", "/password", "/zeta"}},
		{"names_that_need_escapes", loginPath, `{"email":"ada@acme.test","password":"` + canary +
			`","a/b":1,"a~b":2,"~1":3}`, []string{"/a~1b", "/a~0b", "/~01"}},
		{"two_rules_broken_by_one", loginPath, `{"email":"ada@acme.test","password":"` + canary + `","tenant":"A"}`,
			[]string{"/tenant"}},
		{"pattern", loginPath, `{"email":"ada@acme.test","password":"` + canary + `","tenant":"` + canary + `!"}`,
			[]string{"/tenant"}},
		{"whole_value", mePath, `{}`, []string{""}},
		{"only_unknown", mePath, `{"email":"` + canary + `"}`, []string{"/email"}},
		{"register", "/api/v1/auth/register", `{"full_name":"` + long + `","role":"owner"}`,
			[]string{"/email", "/full_name", "/password", "/role"}},
		{"refresh", "/api/v1/auth/refresh", `{"refresh_token":""}`, []string{"/refresh_token"}},
		{"logout", "/api/v1/auth/logout", `{"token":"` + canary + `"}`, []string{"/refresh_token", "/token"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			method := http.MethodPost
			if test.path == mePath {
				method = http.MethodPatch
			}
			r := a.request(method, test.path, strings.NewReader(test.body), "Content-Type: application/json",
				"Authorization: Bearer "+goodToken)
			got := a.expect(http.StatusUnprocessableEntity, "invalid_request", a.do(r))
			slices.Sort(test.pointers)
			if pointers := got.pointers(t); !slices.Equal(pointers, test.pointers) {
				t.Errorf("pointers %q, want %q: %s", pointers, test.pointers, got.body)
			}
			a.expectHandled(0)
		})
	}
}

func TestBody_errorHasFirstBrokenRule(t *testing.T) {
	t.Parallel()
	a := start(t)
	got := a.expect(http.StatusUnprocessableEntity, "invalid_request",
		a.login(`{"email":"a","role":1,"tenant":"A"}`))
	var details []string
	for _, e := range *got.document(t).Errors {
		details = append(details, *e.Pointer+" "+e.Detail)
	}
	want := []string{"/email must have at least 3 characters", "/password is required", "/role is not known",
		"/tenant must have at least 2 characters"}
	if !slices.Equal(details, want) {
		t.Errorf("%q, want %q", details, want)
	}
}

// Not parallel: it counts allocations.
func TestBody_unknownMembersCostLinearTime(t *testing.T) {
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	schema := contract.Paths.Find(loginPath).Post.RequestBody.Value.Content["application/json"].Schema.Value
	allocations := func(n int) float64 {
		value := map[string]any{}
		for i := range n {
			value[fmt.Sprintf("member-%d", i)] = nil
		}
		return testing.AllocsPerRun(1, func() { _ = validateBody(schema, value) })
	}
	if few, many := allocations(30), allocations(300); many > 20*few {
		t.Errorf("ten times the members cost %.0f times the allocations (%.0f)", many/few, many)
	}
}

func TestBody_handlerReceivesTheValidatedBody(t *testing.T) {
	t.Parallel()
	var got api.LoginJSONRequestBody
	a := start(t, handling(func(_ context.Context, r any) error {
		got = *r.(api.LoginRequestObject).Body
		return nil
	}))
	a.expect(http.StatusOK, "", a.login(`{"email":" Ada@ACME.test ","password":" ß\ud83d\ude00 ","tenant":"acme"}`))
	if got.Email != " Ada@ACME.test " || got.Password != " ß😀 " || got.Tenant == nil || *got.Tenant != "acme" {
		t.Errorf("%+v", got)
	}
	a.expect(http.StatusOK, "", a.login(loginBody))
	if got.Tenant != nil {
		t.Errorf("a tenant came from nowhere: %q", *got.Tenant)
	}
}

// padded is an acceptable body of n bytes.
func padded(n int) string { return loginBody + strings.Repeat(" ", n-len(loginBody)) }

func TestBody_over64KiBIs413(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		body   io.Reader
		status int
	}{
		{"with_length_at_the_limit", strings.NewReader(padded(64 << 10)), 200},
		{"with_length", strings.NewReader(padded(64<<10 + 1)), 413},
		{"with_length_of_10_MiB", strings.NewReader(padded(10 << 20)), 413},
		{"chunked_at_the_limit", io.MultiReader(strings.NewReader(padded(64 << 10))), 200},
		{"chunked", io.MultiReader(strings.NewReader(padded(64<<10 + 1))), 413},
		{"chunked_and_not_json", io.MultiReader(strings.NewReader(strings.Repeat("x", 128<<10))), 413},
		{"chunked_without_end", endless{}, 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			code := ""
			if test.status != 200 {
				code = "body_too_large"
			}
			a.expect(test.status, code, a.do(a.request(http.MethodPost, loginPath, test.body,
				"Content-Type: application/json")))
			a.expectHandled(map[int]int64{200: 1}[test.status])
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestBody_truncatedIs400AndNotLoggedAsFailure(t *testing.T) {
	t.Parallel()
	a := start(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "+
		"100\r\n\r\n{\"email\":", loginPath)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("%q, %v", answer, err)
	}
	a.expectHandled(0)
	if failed := a.lines("request failed"); len(failed) != 0 {
		t.Errorf("logged %v", failed)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		header []string
		status int
	}{
		{"json", []string{"application/json"}, 200},
		{"json_in_utf8", []string{"application/json;charset=utf-8"}, 200},
		{"json_in_UTF8_with_space", []string{"Application/JSON; Charset=\"UTF-8\""}, 200},
		{"none", nil, 415},
		{"empty", []string{""}, 415},
		{"text", []string{"text/plain"}, 415},
		{"form", []string{"application/x-www-form-urlencoded"}, 415},
		{"multipart", []string{"multipart/form-data; boundary=x"}, 415},
		{"json_in_utf16", []string{"application/json;charset=utf-16"}, 415},
		{"json_in_latin1", []string{"application/json; charset=iso-8859-1"}, 415},
		{"text_json", []string{"text/json"}, 415},
		{"json_suffix", []string{"application/problem+json"}, 415},
		{"patch", []string{"application/merge-patch+json"}, 415},
		{"lines", []string{"application/json-seq"}, 415},
		{"anything", []string{"*/*"}, 415},
		{"list", []string{"application/json, text/plain"}, 415},
		{"two_charsets", []string{"application/json; charset=utf-8; charset=utf-16"}, 415},
		{"two_headers", []string{"application/json", "text/plain"}, 415},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			r := a.request(http.MethodPost, loginPath, strings.NewReader(loginBody))
			r.Header["Content-Type"] = test.header
			code := ""
			if test.status != 200 {
				code = "unsupported_media_type"
			}
			a.expect(test.status, code, a.do(r))
			a.expectHandled(map[int]int64{200: 1}[test.status])
		})
	}
}
