package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"tenantry/internal/api"
)

func TestParameters_reachTheHandler(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]api.Related{
		"":                        nil,
		"?include=roles":          {api.RelatedRoles},
		"?include=roles,tenant":   {api.RelatedRoles, api.RelatedTenant},
		"?include=tenant,roles":   {api.RelatedTenant, api.RelatedRoles},
		"?include=roles%2Ctenant": {api.RelatedRoles, api.RelatedTenant},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			var got []api.Related
			a := start(t, handling(func(_ context.Context, r any) error {
				if include := r.(api.GetMeRequestObject).Params.Include; include != nil {
					got = *include
				}
				return nil
			}))
			a.expect(http.StatusOK, "", a.get(mePath+query, "Authorization: Bearer "+goodToken))
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			a.expectHandled(1)
		})
	}
}

func TestParameters_invalidOnesAre400(t *testing.T) {
	t.Parallel()
	const invalid, malformed = "invalid_parameter", "malformed_request"
	for _, test := range []struct{ name, query, code string }{
		{"unknown_value", "include=x", invalid},
		{"value_that_must_not_be_repeated", "include=" + canary, invalid},
		{"value_in_another_case", "include=Roles", invalid},
		{"one_wrong_of_two", "include=roles," + canary, invalid},
		{"twice_the_same", "include=roles,roles", invalid},
		{"three", "include=roles,tenant,roles", invalid},
		{"space", "include=roles,%20tenant", invalid},
		{"empty", "include=", invalid},
		{"empty_item", "include=roles,,tenant", invalid},
		{"parameter_twice", "include=roles&include=tenant", ""},
		{"nul", "include=%00", malformed},
		{"nul_in_an_unknown_parameter", "x=%00", malformed},
		{"newline", "x=a%0ab", malformed},
		{"delete", "x=%7f", malformed},
		{"c1_control", "x=%C2%85", malformed},
		{"invalid_utf8", "x=%ff", malformed},
		{"overlong_utf8", "x=%C0%80", malformed},
		{"nul_in_a_name", "%00=x", malformed},
		{"invalid_utf8_in_a_name", "%ff=x", malformed},
		{"broken_escape", "include=%zz", malformed},
		{"broken_escape_at_the_end", "x=%", malformed},
		{"without_a_name", "=x", malformed},
		{"semicolon", "include=roles;include=tenant", malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			got := a.expect(http.StatusBadRequest, test.code, a.get(mePath+"?"+test.query, "Authorization: Bearer "+
				goodToken))
			if errs := got.document(t).Errors; test.code == invalid {
				if errs == nil || len(*errs) != 1 || (*errs)[0].Parameter == nil ||
					*(*errs)[0].Parameter != "include" || (*errs)[0].Pointer != nil {
					t.Errorf("the parameter is not named: %s", got.body)
				}
			}
			a.expectHandled(0)
		})
	}
}

func TestPathParameters_areValidatedLikeQuery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, value string
		status      int
		code        string
	}{
		{"text", "%C3%A4pfel", 200, ""},
		{"pattern", "Apfel", 400, "invalid_parameter"},
		{"nul", "a%00", 400, "malformed_request"},
		{"newline", "a%0a", 400, "malformed_request"},
		{"c1_control", "a%C2%85", 400, "malformed_request"},
		{"invalid_utf8", "a%ff", 400, "malformed_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, called := "", false
			a := start(t, func(s *setup) {
				name := openapi3.NewPathParameter("name").WithSchema(openapi3.NewStringSchema().WithPattern("^[^A-Z]"))
				s.contract.Paths.Set("/things/{name}", &openapi3.PathItem{
					Parameters: openapi3.Parameters{{Value: name}},
					Get: &openapi3.Operation{OperationID: "GetThing",
						Security: openapi3.NewSecurityRequirements(),
						Responses: openapi3.NewResponses(
							openapi3.WithName("default", errorResponse(mediaProblem).Value))},
				})
				s.engine = func(e *gin.Engine) {
					e.GET("/things/:name", func(c *gin.Context) { got, called = c.Param("name"), true })
				}
			})
			a.expect(test.status, test.code, a.get("/things/"+test.value))
			if called != (test.status == 200) || called && got != "äpfel" {
				t.Errorf("called %v with %q", called, got)
			}
		})
	}
}

// A misspelt parameter would act otherwise than meant, such as ?Tenant=x in the caller's own
// tenant.
func TestParameters_thatAreUnknownOrRepeatedAre400(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]map[string]string{
		"unknown=x":                   {"unknown": "is not known"},
		"Include=roles":               {"Include": `is not known: is "include" meant?`},
		"z=1&include=roles&a=2":       {"a": "is not known", "z": "is not known"},
		"%C3%A4=1":                    {"ä": "is not known"},
		"include":                     {"include": ""},
		"include=roles&include=roles": {"include": "must not be repeated"},
		"include=x&tenant=other": {
			"include": "must be one of [roles tenant identities]", "tenant": "is not known",
		},
		"id=01890000-0000-7000-8000-0000000000": {"id": "is not known"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			got := a.expect(http.StatusBadRequest, "invalid_parameter",
				a.get(mePath+"?"+query, "Authorization: Bearer "+goodToken))
			found := map[string]string{}
			if errs := got.document(t).Errors; errs != nil {
				for _, e := range *errs {
					found[*e.Parameter] = e.Detail
				}
			}
			for name, detail := range want {
				if said, ok := found[name]; !ok || (detail != "" && said != detail) || len(found) != len(want) {
					t.Errorf("%s", got.body)
				}
			}
			a.expectHandled(0)
		})
	}
}

func TestParameters_ofEveryOperationMustBeKnown(t *testing.T) {
	t.Parallel()
	a := start(t)
	for _, path := range []string{"/healthz", "/readyz", "/.well-known/jwks.json",
		"/api/v1/auth/oauth/google/authorize"} {
		a.expect(http.StatusBadRequest, "invalid_parameter", a.get(path+"?utm_source=x"))
	}
	a.expect(http.StatusBadRequest, "invalid_parameter",
		a.do(a.request(http.MethodPost, loginPath+"?tenant=other", strings.NewReader(loginBody),
			"Content-Type: application/json")))
	a.expectHandled(0)
}

// RFC 6749 §4.1.2: what a provider adds to its answer is ignored.
func TestParameters_ofACallbackMayBeUnknown(t *testing.T) {
	t.Parallel()
	var got api.CallBackOAuthRequestObject
	a := start(t, handling(func(_ context.Context, r any) error {
		got = r.(api.CallBackOAuthRequestObject)
		return nil
	}))
	a.do(a.request(http.MethodGet, "/api/v1/auth/oauth/google/callback?state=s&code=c&scope=a&scope=b"+
		"&authuser=0&session_state=%ff", http.NoBody))
	if got.Params.State != "s" || got.Params.Code == nil || *got.Params.Code != "c" {
		t.Errorf("%+v", got)
	}
	a.expect(http.StatusBadRequest, "invalid_parameter",
		a.get("/api/v1/auth/oauth/google/callback?state=s&state=t&code=c"))
}

// J-13: a token in the query does not authenticate, and a client without one gets 401 first.
func TestParameters_thatAreUnknownWithoutATokenAre401(t *testing.T) {
	t.Parallel()
	a := start(t)
	a.expect(http.StatusUnauthorized, "unauthorized", a.get(mePath+"?access_token="+goodToken))
	a.expect(http.StatusUnauthorized, "invalid_token", a.get(mePath+"?x=1", "Authorization: Bearer bad"))
	a.expectHandled(0)
}

// Each answer names the parameter that cannot be read, and why.
func TestParameters_thatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	a := start(t)
	for path, want := range map[string][2]string{
		"/api/v1/users/xyz": {"id",
			"must be a UUID such as 018f3c5e-7c1a-7000-8000-000000000001"},
		"/api/v1/users?limit=many":                     {"limit", "must be of type integer"},
		"/api/v1/users?limit=1.5":                      {"limit", "must be of type integer"},
		"/api/v1/users?limit=1000":                     {"limit", "must be at most 100"},
		"/api/v1/users?limit=":                         {"limit", "must not be empty"},
		"/api/v1/users?is_active=yes":                  {"is_active", "must be of type boolean"},
		"/api/v1/users?total=all":                      {"total", "must be one of [exact]"},
		"/api/v1/users?email=%00":                      {"email", "must be UTF-8 without control characters"},
		"/api/v1/users/a%ff":                           {"id", "must be UTF-8 without control characters"},
		"/api/v1/users?is_active=true&is_active=false": {"is_active", "must not be repeated"},
	} {
		got := a.get(path, "Authorization: Bearer "+goodToken)
		errs := got.document(t).Errors
		if got.status != http.StatusBadRequest || errs == nil || len(*errs) != 1 || *(*errs)[0].Parameter != want[0] ||
			(*errs)[0].Detail != want[1] {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	for query, says := range map[string]string{"include=%zz": "%25", "include=roles;x=y": "%3B"} {
		if got := a.expect(http.StatusBadRequest, "malformed_request",
			a.get(mePath+"?"+query, "Authorization: Bearer "+goodToken)); !strings.Contains(*got.document(t).Detail,
			says) {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	a.expectHandled(0)
}
