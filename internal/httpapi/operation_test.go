package httpapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/internal/api"
)

// bearerOnly are options with an authenticator of the scheme bearer.
var bearerOnly = Options{Authenticators: []Authenticator{{Scheme: "bearer"}}}

// errorResponse is a default response of some media types.
func errorResponse(media ...string) *openapi3.ResponseRef {
	content := openapi3.Content{}
	for _, m := range media {
		content[m] = openapi3.NewMediaType()
	}
	return &openapi3.ResponseRef{Value: openapi3.NewResponse().WithDescription("error").WithContent(content)}
}

func TestReadOperations_refusesMissingDefaultLimits(t *testing.T) {
	t.Parallel()
	for _, extension := range []string{bodyLimitExtension, timeoutExtension} {
		contract, err := api.Contract()
		if err != nil {
			t.Fatal(err)
		}
		delete(contract.Extensions, extension)
		if _, err := NewRouter(contract, handlers{}, bearerOnly); err == nil ||
			!strings.Contains(err.Error(), extension) {
			t.Errorf("without %s: error %v", extension, err)
		}
	}
}

func TestReadOperations_refusesIncompleteContract(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		change     func(*openapi3.PathItem)
	}{
		{"no_security", "GetMe: no security declaration", func(me *openapi3.PathItem) { me.Get.Security = nil }},
		{"anonymous_alternative", "must be one security scheme", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{"bearer": {}}, {}}
		}},
		{"two_schemes_at_once", "must be one security scheme", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{"bearer": {}, "basic": {}}}
		}},
		{"scheme_without_authenticator", "no authenticator verifies credentials of the security scheme basic",
			func(me *openapi3.PathItem) {
				me.Get.Security = &openapi3.SecurityRequirements{{"basic": {}}}
			}},
		{"anonymous_entry", "must be one security scheme", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{}}
		}},
		{"body_that_is_optional", "UpdateMe: the body must be required", func(me *openapi3.PathItem) {
			me.Patch.RequestBody.Value.Required = false
		}},
		{"body_of_unknown_type", "UpdateMe: bodies of text/plain cannot be read", func(me *openapi3.PathItem) {
			content := me.Patch.RequestBody.Value.Content
			content["text/plain"] = content["application/json"]
			delete(content, "application/json")
		}},
		{"body_without_type", "UpdateMe: the body has no media type", func(me *openapi3.PathItem) {
			me.Patch.RequestBody.Value.Content = openapi3.Content{}
		}},
		{"body_limit_that_is_no_number", "GetMe: x-body-limit must be a number", func(me *openapi3.PathItem) {
			me.Get.Extensions = map[string]any{"x-body-limit": "64 KiB"}
		}},
		{"timeout_that_is_no_duration", "GetMe: x-timeout must be a duration", func(me *openapi3.PathItem) {
			me.Get.Extensions = map[string]any{"x-timeout": 15.0}
		}},
		{"no_error_response", "GetMe: no default response", func(me *openapi3.PathItem) {
			me.Get.Responses.Delete("default")
		}},
		{"unknown_error_format", "GetMe: errors cannot be written as text/plain", func(me *openapi3.PathItem) {
			me.Get.Responses.Set("default", errorResponse("application/problem+json", "text/plain"))
		}},
		{"error_page_alone", "GetMe: the default response declares no format", func(me *openapi3.PathItem) {
			me.Get.Responses.Set("default", errorResponse("text/html"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			contract, err := api.Contract()
			if err != nil {
				t.Fatal(err)
			}
			test.change(contract.Paths.Find(mePath))
			if _, err := NewRouter(contract, handlers{}, bearerOnly); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestReadOperations_coversEveryRoute(t *testing.T) {
	t.Parallel()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := NewRouter(contract, handlers{}, bearerOnly)
	if err != nil {
		t.Fatal(err)
	}
	read, err := readOperations(contract, []string{"bearer"})
	if err != nil {
		t.Fatal(err)
	}
	for _, served := range engine.Routes() {
		if read[route{served.Method, served.Path}] == nil {
			t.Errorf("%s %s is served and not in the contract: nothing is validated or authorised", served.Method,
				served.Path)
		}
	}
	if len(engine.Routes()) != len(read) {
		t.Errorf("%d routes for %d operations", len(engine.Routes()), len(read))
	}
}

func TestReadOperations_readsSecurity(t *testing.T) {
	t.Parallel()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	read, err := readOperations(contract, []string{"bearer"})
	if err != nil {
		t.Fatal(err)
	}
	var public []string
	for _, o := range read {
		if o.public() {
			public = append(public, o.id)
		}
	}
	slices.Sort(public)
	public = slices.Compact(public) // that of HEAD is that of GET
	if want := []string{
		"AuthorizeOAuth", "CallBackOAuth", "ExchangeOAuthCode", "GetHealth", "GetJWKS", "GetReadiness",
		"ListOAuthOffers", "Login", "Logout", "PostOAuthCallback", "Refresh",
		"Register", "SignUp",
	}; !slices.Equal(public, want) {
		t.Errorf("public are %v, want %v", public, want)
	}
}

func TestReadOperations_includesPathParameters(t *testing.T) {
	t.Parallel()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	me := contract.Paths.Find(mePath)
	me.Parameters = openapi3.Parameters{{Value: openapi3.NewQueryParameter("tenant").
		WithSchema(openapi3.NewStringSchema())}}
	read, err := readOperations(contract, []string{"bearer"})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[route]int{{"GET", mePath}: 2, {"PATCH", mePath}: 1} {
		if n := len(read[at].parameters); n != want {
			t.Errorf("%s has %d parameters, want %d", at, n, want)
		}
	}
}

func TestGinPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/users": "/users", "/users/{id}": "/users/:id",
		"/a/{b}/c/{d_e}": "/a/:b/c/:d_e"} {
		if got := ginPath(path); got != want {
			t.Errorf("%s became %s, want %s", path, got, want)
		}
	}
}
