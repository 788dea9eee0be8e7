package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// validate holds parameters and body against what the operation declares. The generated handlers take the value that was
// validated, so that nothing is decoded twice and nothing else is decoded than was checked.
func (r *router) validate(c *gin.Context) {
	o := r.operation(c)
	if o == nil {
		c.Next()
		return
	}
	if err := validateParameters(c, o); err != nil {
		r.fail(c, err)
		return
	}
	if o.body != nil {
		value, err := readBody(c)
		if err == nil {
			err = validateBody(o.body, value)
		}
		if err != nil {
			r.fail(c, err)
			return
		}
		c.Request.Body = validatedBody{c.Request.Body, value}
	}
	c.Next()
}

// validatedBody hands the validated value to the generated handlers.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue is what the generated handlers look for.
func (b validatedBody) ValidatedValue() any { return b.value }

func validateParameters(c *gin.Context, o *operation) error {
	query := c.Request.URL.Query()
	for _, values := range query {
		for _, v := range values {
			if !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
				return problem.Malformed("A parameter is not valid text.")
			}
		}
	}
	if len(o.parameters) == 0 {
		return nil
	}
	path := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		path[p.Key] = p.Value
	}
	input := &openapi3filter.RequestValidationInput{Request: c.Request, PathParams: path, QueryParams: query}
	for _, p := range o.parameters {
		if err := openapi3filter.ValidateParameter(c.Request.Context(), input, p); err != nil {
			return problem.InvalidParameter(p.Name, schemaDetail(err))
		}
	}
	return nil
}

func readBody(c *gin.Context) (any, error) {
	media, parameters, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, problem.UnsupportedMediaType()
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem.UnsupportedMediaType()
	}
	body, err := io.ReadAll(c.Request.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, problem.TooLarge()
	}
	if err != nil {
		// Without its cause: a client that goes away in mid-body is no outage of ours.
		return nil, problem.Malformed("The body cannot be read.")
	}
	return decodeStrict(body)
}

func validateBody(schema *openapi3.Schema, value any) error {
	err := schema.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsRequest(), openapi3.EnableFormatValidation())
	if err == nil {
		return nil
	}
	return problem.Invalid(schemaFields(err)...)
}

// schemaFields names each wrong member, in order and once. It takes nothing from the validator's own words, which may
// repeat the value.
func schemaFields(err error) []problem.Field {
	fields := appendFields(nil, err)
	slices.SortFunc(fields, func(a, b problem.Field) int { return strings.Compare(a.Pointer, b.Pointer) })
	return slices.Compact(fields)
}

func appendFields(fields []problem.Field, err error) []problem.Field {
	if many, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, e := range many {
			fields = appendFields(fields, e)
		}
		return fields
	}
	e, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		return append(fields, problem.Field{Detail: "is not valid"})
	}
	pointer := jsonPointer(e.JSONPointer())
	object, _ := e.Value.(map[string]any)
	if e.SchemaField != "properties" || object == nil {
		return append(fields, problem.Field{Pointer: pointer, Detail: schemaDetail(e)})
	}
	for name := range object {
		if e.Schema.Properties[name] == nil {
			fields = append(fields, problem.Field{Pointer: pointer + jsonPointer([]string{name}), Detail: schemaDetail(e)})
		}
	}
	return fields
}

func jsonPointer(parts []string) string {
	var pointer strings.Builder
	for _, part := range parts {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return pointer.String()
}
