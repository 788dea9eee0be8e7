package httpapi

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"tenantry/internal/api"
)

func TestParameters_are_bound(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]api.Related{
		"":                               nil,
		"?include=roles":                 {api.RelatedRoles},
		"?include=roles,tenant":          {api.RelatedRoles, api.RelatedTenant},
		"?include=tenant,roles":          {api.RelatedTenant, api.RelatedRoles},
		"?include=roles%2Ctenant":        {api.RelatedRoles, api.RelatedTenant},
		"?unknown=is%20ignored&x=%C3%A4": nil,
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

func TestParameters_that_are_wrong_are_400(t *testing.T) {
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
		{"semicolon", "include=roles;include=tenant", malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			got := a.expect(http.StatusBadRequest, test.code, a.get(mePath+"?"+test.query, "Authorization: Bearer "+goodToken))
			if errs := got.document(t).Errors; test.code == invalid {
				if errs == nil || len(*errs) != 1 || (*errs)[0].Parameter == nil || *(*errs)[0].Parameter != "include" || (*errs)[0].Pointer != nil {
					t.Errorf("the parameter is not named: %s", got.body)
				}
			}
			a.expectHandled(0)
		})
	}
}

func TestParameters_of_the_path_are_held_to_the_same_rules(t *testing.T) {
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
					Get:        &openapi3.Operation{OperationID: "GetThing", Security: openapi3.NewSecurityRequirements()},
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
