package httpapi

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"tenantry/internal/problem"
)

const (
	// maxName is how many characters of an unknown parameter's name an error repeats.
	maxName = 64

	notPlain = "must be UTF-8 without control characters"
	repeated = "must not be repeated"
)

// validateParameters checks path and query parameters against the contract. It refuses repeated and
// unknown parameters: a misspelt filter would otherwise return other items than requested. The
// error names each wrong parameter.
func validateParameters(c *gin.Context, req *request) error {
	o := req.operation
	if c.Request.URL.RawQuery == "" && len(c.Params) == 0 && o.noRequiredParams {
		return nil
	}
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return problem.Malformed("The query cannot be read. In a name or value, % is written as %25, ; as %3B.")
	}
	if o.ignoresUnknown {
		maps.DeleteFunc(query, func(name string, _ []string) bool { return o.queryParameter(name) == nil })
	}
	path := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		path[p.Key] = p.Value
	}
	if err := checkText(path, query); err != nil {
		return err
	}
	fields := o.wrongParameters(&openapi3filter.RequestValidationInput{Request: c.Request, PathParams: path,
		QueryParams: query})
	// Without a valid token authorize answers 401, also for unknown parameters (RFC 6750 §3).
	if o.public() || req.principal != nil {
		fields = append(fields, o.unknownParameters(query)...)
	}
	if len(fields) > 0 {
		return problem.InvalidParameters(fields...)
	}
	return nil
}

// queryParameter returns the declared query parameter of a name, or nil.
func (o *operation) queryParameter(name string) *openapi3.Parameter {
	for _, p := range o.parameters {
		if p.In == openapi3.ParameterInQuery && p.Name == name {
			return p
		}
	}
	return nil
}

// wrongParameters returns the declared parameters that are wrong, with the reason.
func (o *operation) wrongParameters(input *openapi3filter.RequestValidationInput) []problem.Field {
	var fields []problem.Field
	for _, p := range o.parameters {
		values := parameterValues(input, p)
		if optional(p) && values == nil {
			continue
		}
		detail := ""
		if len(values) > 1 {
			detail = repeated
		} else if err := openapi3filter.ValidateParameter(input.Request.Context(), input, p); err != nil {
			detail = parameterDetail(p, err)
		} else if p.Schema.Value.Format == "uuid" && len(values) == 1 && uuid.Validate(values[0]) != nil {
			detail = "must be a UUID such as 018f3c5e-7c1a-7000-8000-000000000001"
		}
		if detail != "" {
			fields = append(fields, problem.Field{Parameter: p.Name, Detail: detail})
		}
	}
	return fields
}

// parameterValues returns the values of a parameter, nil if the request has none.
func parameterValues(input *openapi3filter.RequestValidationInput, p *openapi3.Parameter) []string {
	switch p.In {
	case openapi3.ParameterInQuery:
		return input.QueryParams[p.Name]
	case openapi3.ParameterInHeader:
		return input.Request.Header.Values(p.Name)
	case openapi3.ParameterInCookie:
		var values []string
		for _, cookie := range input.Request.CookiesNamed(p.Name) {
			values = append(values, cookie.Value)
		}
		return values
	default:
		return []string{input.PathParams[p.Name]}
	}
}

// parameterDetail describes what is wrong with a parameter, without the validator's text, which may
// repeat the value.
func parameterDetail(p *openapi3.Parameter, err error) string {
	if _, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		return schemaDetail(err)
	}
	switch {
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		return "is required"
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		return "must not be empty"
	default:
		return "must be of type " + strings.Join(p.Schema.Value.Type.Slice(), " or ")
	}
}

// unknownParameters returns the undeclared query parameters. Each detail suggests a declared
// parameter that differs only in case.
func (o *operation) unknownParameters(query url.Values) []problem.Field {
	var fields []problem.Field
	for name := range query {
		if o.queryParameter(name) != nil {
			continue
		}
		field := problem.Field{Parameter: name, Detail: "is not known"}
		for _, p := range o.parameters {
			if p.In == openapi3.ParameterInQuery && strings.EqualFold(p.Name, name) {
				field.Detail += `: is "` + p.Name + `" meant?`
			}
		}
		if letters := []rune(name); len(letters) > maxName {
			field.Parameter = string(letters[:maxName]) + "…"
		}
		fields = append(fields, field)
	}
	slices.SortFunc(fields, func(a, b problem.Field) int { return strings.Compare(a.Parameter, b.Parameter) })
	return fields
}

// optional reports whether a parameter may be absent and has no default.
func optional(p *openapi3.Parameter) bool { return !p.Required && p.Schema.Value.Default == nil }

// checkText refuses parameters that are not plain text, or whose name is empty.
func checkText(path map[string]string, query url.Values) error {
	for name, value := range path {
		if !plain(value) {
			return problem.Malformed("A parameter is not valid text.", problem.Field{Parameter: name, Detail: notPlain})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case name == "" || !plain(name):
			return problem.Malformed("The name of a parameter in the query is empty, or is not UTF-8 without control " +
				"characters.")
		case slices.ContainsFunc(query[name], func(value string) bool { return !plain(value) }):
			return problem.Malformed("A parameter is not valid text.", problem.Field{Parameter: name, Detail: notPlain})
		}
	}
	return nil
}

// plain reports whether a text is UTF-8 without control characters. Postgres refuses some other
// text, and no operation needs any.
func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }
