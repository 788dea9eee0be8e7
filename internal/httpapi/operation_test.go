package httpapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/internal/api"
)

func TestReadOperations_refusesIncompleteContract(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		change     func(*openapi3.PathItem)
	}{
		{"no_security", "GetMe has no security declaration", func(me *openapi3.PathItem) { me.Get.Security = nil }},
		{"alternatives", "GetMe must be empty or one bearer entry", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{"bearer": {}}, {}}
		}},
		{"two_schemes_at_once", "GetMe must be empty or one bearer entry", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{"bearer": {}, "basic": {}}}
		}},
		{"another_scheme", "GetMe must be empty or one bearer entry", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{"basic": {}}}
		}},
		{"anonymous_entry", "GetMe must be empty or one bearer entry", func(me *openapi3.PathItem) {
			me.Get.Security = &openapi3.SecurityRequirements{{}}
		}},
		{"body_that_is_optional", "the body of UpdateMe must be required JSON", func(me *openapi3.PathItem) {
			me.Patch.RequestBody.Value.Required = false
		}},
		{"body_that_is_not_JSON", "the body of UpdateMe must be required JSON", func(me *openapi3.PathItem) {
			content := me.Patch.RequestBody.Value.Content
			content["text/plain"] = content["application/json"]
			delete(content, "application/json")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			contract, err := api.Contract()
			if err != nil {
				t.Fatal(err)
			}
			test.change(contract.Paths.Find(mePath))
			if _, err := NewRouter(contract, handlers{}, Options{}); err == nil ||
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
	engine, err := NewRouter(contract, handlers{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	read, err := readOperations(contract)
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
	read, err := readOperations(contract)
	if err != nil {
		t.Fatal(err)
	}
	var public []string
	for _, o := range read {
		if o.public {
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
	read, err := readOperations(contract)
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
