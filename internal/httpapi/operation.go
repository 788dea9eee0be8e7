package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is what the contract says of one route, prepared for the steps.
type operation struct {
	id         string
	parameters []*openapi3.Parameter
	// noRequiredParams operations may be called without any of them.
	noRequiredParams bool
	// ignoresUnknown operations take parameters of the query that are not declared, and ignore them.
	ignoresUnknown bool
	// body is JSON, or a form.
	body *openapi3.Schema
	form bool
	// leading operations redirect browsers.
	leading bool
	// public operations take no credential; the others take one that holds the scopes.
	public bool
	scopes []string
	// probe operations are asked by machines, every few seconds.
	probe bool
	// observe is told of its requests.
	observe Observer
	// elsewhere operations may be called for another tenant than the caller's.
	elsewhere bool
}

// The media types of bodies.
const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// unknownExtension is the member of an operation that says what becomes of parameters of the query that are not declared. Without it
// they are refused.
const unknownExtension = "x-unknown-parameters"

// tenantParameter is the query parameter that names another tenant to act in.
const tenantParameter = "tenant"

// route is how gin names what it has matched.
type route struct{ method, path string }

// readOperations indexes the contract by method and gin's own form of the path, so that the route that gin matched finds
// its operation and no second router is asked. HEAD is the operation of GET (RFC 9110 §9.1), except where that redirects browsers:
// it begins a sign-in or consumes its state, and a HEAD must change nothing (§9.2.1).
func readOperations(contract *openapi3.T) (map[route]*operation, error) {
	operations := map[route]*operation{}
	for path, item := range contract.Paths.Map() {
		for method, declared := range item.Operations() {
			o := &operation{id: declared.OperationID, probe: slices.Contains(declared.Tags, "Health")}
			for _, p := range append(item.Parameters, declared.Parameters...) {
				o.parameters = append(o.parameters, p.Value)
				o.elsewhere = o.elsewhere || (p.Value.In == openapi3.ParameterInQuery && p.Value.Name == tenantParameter)
			}
			o.noRequiredParams = !slices.ContainsFunc(o.parameters, func(p *openapi3.Parameter) bool { return !optional(p) })
			if unknown, ok := declared.Extensions[unknownExtension]; ok {
				if o.ignoresUnknown = unknown == "ignore"; !o.ignoresUnknown {
					return nil, fmt.Errorf("contract: %s of %s is not ignore", unknownExtension, o.id)
				}
			}
			o.leading = declared.Responses.Status(http.StatusSeeOther) != nil
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
			// Who may call is never left to a default.
			switch security := declared.Security; {
			case security == nil:
				return nil, fmt.Errorf("contract: %s does not say who may call it", o.id)
			case len(*security) == 0:
				o.public = true
			case len(*security) == 1 && len((*security)[0]) == 1 && (*security)[0]["bearer"] != nil:
				o.scopes = (*security)[0]["bearer"]
			default:
				return nil, fmt.Errorf("contract: the security of %s is neither empty nor one bearer entry", o.id)
			}
			operations[route{method, ginPath(path)}] = o
			if method == http.MethodGet && !o.leading {
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
