package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is the contract's declaration of one route, prepared for the steps.
type operation struct {
	id         string
	parameters []*openapi3.Parameter
	// noRequiredParams says that all parameters may be omitted.
	noRequiredParams bool
	// ignoresUnknown says that undeclared query parameters are ignored. Otherwise they are refused.
	ignoresUnknown bool
	// body is the schema of the request body, which is a form if form is set and JSON otherwise.
	body *openapi3.Schema
	form bool
	// redirects says that the operation answers browsers with 303.
	redirects bool
	// public says that no credential is read. Otherwise the credential must have the scopes.
	public bool
	scopes []string
	// probe says that the operation is a health check, which is called every few seconds.
	probe bool
	// observe is called after each request of the operation.
	observe Observer
	// crossTenant says that a superuser may call the operation for another tenant.
	crossTenant bool
}

// The media types of bodies.
const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// unknownExtension is the extension of an operation that sets ignoresUnknown. Its only value is
// "ignore".
const unknownExtension = "x-unknown-parameters"

// tenantParameter is the query parameter that names another tenant to act in.
const tenantParameter = "tenant"

// route is a method and a path in gin's syntax.
type route struct{ method, path string }

// readOperations returns the operations of the contract by route, so that the route that gin has
// matched identifies the operation without a second router. It fails if the contract leaves open
// who may call an operation. HEAD has the operation of GET (RFC 9110 §9.1), except where GET
// redirects browsers: it begins a sign-in or consumes its state, and HEAD must be safe (§9.2.1).
func readOperations(contract *openapi3.T) (map[route]*operation, error) {
	operations := map[route]*operation{}
	for path, item := range contract.Paths.Map() {
		for method, declared := range item.Operations() {
			o := &operation{id: declared.OperationID, probe: slices.Contains(declared.Tags, "Health")}
			for _, p := range append(item.Parameters, declared.Parameters...) {
				o.parameters = append(o.parameters, p.Value)
				o.crossTenant = o.crossTenant ||
					(p.Value.In == openapi3.ParameterInQuery && p.Value.Name == tenantParameter)
			}
			o.noRequiredParams = !slices.ContainsFunc(o.parameters, func(p *openapi3.Parameter) bool {
				return !optional(p)
			})
			if unknown, ok := declared.Extensions[unknownExtension]; ok {
				if o.ignoresUnknown = unknown == "ignore"; !o.ignoresUnknown {
					return nil, fmt.Errorf("contract: %s of %s must be ignore", unknownExtension, o.id)
				}
			}
			o.redirects = declared.Responses.Status(http.StatusSeeOther) != nil
			if declared.RequestBody != nil {
				media := declared.RequestBody.Value.Content[mediaJSON]
				if media == nil {
					media, o.form = declared.RequestBody.Value.Content[mediaForm], true
				}
				if media == nil || !declared.RequestBody.Value.Required {
					return nil, fmt.Errorf("contract: the body of %s must be required JSON or a required form", o.id)
				}
				o.body = media.Schema.Value
			}
			// A missing security declaration must not make an operation public.
			switch security := declared.Security; {
			case security == nil:
				return nil, fmt.Errorf("contract: %s has no security declaration", o.id)
			case len(*security) == 0:
				o.public = true
			case len(*security) == 1 && len((*security)[0]) == 1 && (*security)[0]["bearer"] != nil:
				o.scopes = (*security)[0]["bearer"]
			default:
				return nil, fmt.Errorf("contract: the security of %s must be empty or one bearer entry", o.id)
			}
			operations[route{method, ginPath(path)}] = o
			if method == http.MethodGet && !o.redirects {
				operations[route{http.MethodHead, ginPath(path)}] = o
			}
		}
	}
	return operations, nil
}

// ginPath turns /users/{id} into /users/:id.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
