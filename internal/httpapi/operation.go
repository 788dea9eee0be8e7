package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is the profile of one operation: all that the steps need to know about it, read from
// the contract.
type operation struct {
	id         string
	parameters []*openapi3.Parameter
	// noRequiredParams says that all parameters may be omitted.
	noRequiredParams bool
	// ignoresUnknown says that undeclared query parameters are ignored. Otherwise they are refused.
	ignoresUnknown bool
	// bodies are the schemas of the request body by media type. The body is required if there are
	// any.
	bodies map[string]*openapi3.Schema
	// bodyLimit bounds the body, in bytes, with or without a declared length.
	bodyLimit int64
	// timeout bounds the work on one request.
	timeout time.Duration
	// scopes are those that a credential needs, by security scheme. Other schemes are refused. An
	// operation without schemes reads no credential.
	scopes map[string][]string
	// writeError writes error responses. errorPage says that browsers receive an HTML page.
	writeError errorFormat
	errorPage  bool
	// redirects says that the operation answers browsers with 303.
	redirects bool
	// probe says that the operation is a health check, which is called every few seconds.
	probe bool
	// observe is called after each request of the operation.
	observe Observer
	// crossTenant says that a superuser may call the operation for another tenant.
	crossTenant bool
}

// public reports whether the operation reads no credential.
func (o *operation) public() bool { return len(o.scopes) == 0 }

// The extensions of the contract. The document itself has the default of bodyLimitExtension and
// timeoutExtension.
const (
	// bodyLimitExtension is the size limit of a body, in bytes.
	bodyLimitExtension = "x-body-limit"
	// timeoutExtension is the time limit of a request, such as 15s.
	timeoutExtension = "x-timeout"
	// unknownExtension says what happens to unknown parameters. Its only value is "ignore".
	unknownExtension = "x-unknown-parameters"
)

// tenantParameter is the query parameter that names another tenant to act in.
const tenantParameter = "tenant"

// route is a method and a path in gin's syntax.
type route struct{ method, path string }

// readOperations returns the operations of the contract by route, so that the route that gin has
// matched identifies the operation without a second router. It fails if a profile is incomplete, or
// names what the steps do not implement. HEAD has the operation of GET (RFC 9110 §9.1), except
// where GET redirects browsers: it begins a sign-in or consumes its state, and HEAD must be safe
// (§9.2.1).
func readOperations(contract *openapi3.T, schemes []string) (map[route]*operation, error) {
	operations := map[route]*operation{}
	for path, item := range contract.Paths.Map() {
		for method, declared := range item.Operations() {
			o, err := readOperation(contract, item, declared, schemes)
			if err != nil {
				return nil, fmt.Errorf("contract: %s: %w", declared.OperationID, err)
			}
			operations[route{method, ginPath(path)}] = o
			if method == http.MethodGet && !o.redirects {
				operations[route{http.MethodHead, ginPath(path)}] = o
			}
		}
	}
	return operations, nil
}

func readOperation(contract *openapi3.T, item *openapi3.PathItem, declared *openapi3.Operation,
	schemes []string) (*operation, error) {
	o := &operation{
		id: declared.OperationID, probe: slices.Contains(declared.Tags, "Health"),
		redirects: declared.Responses.Status(http.StatusSeeOther) != nil,
	}
	o.readParameters(slices.Concat(item.Parameters, declared.Parameters))
	extensions := func(name string) any {
		if value, ok := declared.Extensions[name]; ok {
			return value
		}
		return contract.Extensions[name]
	}
	return o, cmp.Or(
		o.readUnknown(declared.Extensions),
		o.readBodies(declared.RequestBody),
		o.readLimits(extensions),
		o.readSecurity(declared.Security, schemes),
		o.readErrors(declared.Responses.Default()),
	)
}

func (o *operation) readParameters(parameters openapi3.Parameters) {
	for _, p := range parameters {
		o.parameters = append(o.parameters, p.Value)
		o.crossTenant = o.crossTenant || (p.Value.In == openapi3.ParameterInQuery && p.Value.Name == tenantParameter)
	}
	o.noRequiredParams = !slices.ContainsFunc(o.parameters, func(p *openapi3.Parameter) bool { return !optional(p) })
}

func (o *operation) readUnknown(extensions map[string]any) error {
	if unknown, ok := extensions[unknownExtension]; ok {
		if o.ignoresUnknown = unknown == "ignore"; !o.ignoresUnknown {
			return fmt.Errorf("%s must be ignore", unknownExtension)
		}
	}
	return nil
}

func (o *operation) readBodies(body *openapi3.RequestBodyRef) error {
	if body == nil {
		return nil
	}
	if !body.Value.Required {
		return fmt.Errorf("the body must be required")
	}
	o.bodies = map[string]*openapi3.Schema{}
	for media, content := range body.Value.Content {
		if bodyReaderOf(media) == nil {
			return fmt.Errorf("bodies of %s cannot be read", media)
		}
		o.bodies[media] = content.Schema.Value
	}
	if len(o.bodies) == 0 {
		return fmt.Errorf("the body has no media type")
	}
	return nil
}

func (o *operation) readLimits(extension func(name string) any) error {
	limit, ok := extension(bodyLimitExtension).(float64)
	if !ok || limit < 1 || limit != float64(int64(limit)) {
		return fmt.Errorf("%s must be a number of bytes", bodyLimitExtension)
	}
	text, _ := extension(timeoutExtension).(string)
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 {
		return fmt.Errorf("%s must be a duration such as 15s", timeoutExtension)
	}
	o.bodyLimit, o.timeout = int64(limit), timeout
	return nil
}

// readSecurity reads the accepted credentials: alternatives of one security scheme each. A missing
// declaration must not make an operation public.
func (o *operation) readSecurity(security *openapi3.SecurityRequirements, schemes []string) error {
	if security == nil {
		return fmt.Errorf("no security declaration")
	}
	o.scopes = map[string][]string{}
	for _, alternative := range *security {
		if len(alternative) != 1 {
			return fmt.Errorf("each alternative of security must be one security scheme")
		}
		for scheme, scopes := range alternative {
			if !slices.Contains(schemes, scheme) {
				return fmt.Errorf("no authenticator verifies credentials of the security scheme %s", scheme)
			}
			o.scopes[scheme] = scopes
		}
	}
	return nil
}

func (o *operation) readErrors(response *openapi3.ResponseRef) error {
	if response == nil {
		return fmt.Errorf("no default response, which declares the format of errors")
	}
	for media := range response.Value.Content {
		switch format := errorFormats[media]; {
		case format != nil && o.writeError == nil:
			o.writeError = format
		case media == mediaHTML:
			o.errorPage = true
		default:
			return fmt.Errorf("errors cannot be written as %s", media)
		}
	}
	if o.writeError == nil {
		return fmt.Errorf("the default response declares no format of errors")
	}
	return nil
}

// ginPath turns /users/{id} into /users/:id.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
