package httpapi

import (
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
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
	o := visitOf(c).operation
	if o == nil {
		return
	}
	if err := validateParameters(c, o); err != nil {
		r.fail(c, err)
		return
	}
	if o.body != nil {
		read, media := readJSON, mediaJSON
		if o.form {
			read, media = o.readForm, mediaForm
		}
		value, err := readBody(c, media, read)
		if err == nil {
			err = validateBody(o.body, value)
		}
		if err != nil {
			r.fail(c, err)
			return
		}
		c.Request.Body = validatedBody{c.Request.Body, value}
	}
}

// validatedBody hands the validated value to the generated handlers.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue is what the generated handlers look for.
func (b validatedBody) ValidatedValue() any { return b.value }

func validateParameters(c *gin.Context, o *operation) error {
	if c.Request.URL.RawQuery == "" && len(c.Params) == 0 && o.bare {
		return nil
	}
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return problem.Malformed("The query cannot be read.")
	}
	path := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		path[p.Key] = p.Value
	}
	if o.leading {
		maps.DeleteFunc(query, func(name string, _ []string) bool {
			return !slices.ContainsFunc(o.parameters, func(p *openapi3.Parameter) bool { return p.Name == name })
		})
	}
	if !plain(path, query) {
		return problem.Malformed("A parameter is not valid text.")
	}
	input := &openapi3filter.RequestValidationInput{Request: c.Request, PathParams: path, QueryParams: query}
	for _, p := range o.parameters {
		if optional(p) && query[p.Name] == nil {
			continue
		}
		if err := openapi3filter.ValidateParameter(c.Request.Context(), input, p); err != nil {
			return problem.InvalidParameter(p.Name, schemaDetail(err))
		}
	}
	return nil
}

// optional reports whether nothing is to be done about a parameter of the query that is not there.
func optional(p *openapi3.Parameter) bool {
	return p.In == openapi3.ParameterInQuery && !p.Required && p.Schema.Value.Default == nil
}

// plain reports whether every parameter, and every name of one, is UTF-8 without control characters: Postgres refuses some
// of the rest, and no operation has a use for it.
func plain(path map[string]string, query url.Values) bool {
	text := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }
	for _, value := range path {
		if !text(value) {
			return false
		}
	}
	for name, values := range query {
		if !text(name) || slices.ContainsFunc(values, func(v string) bool { return !text(v) }) {
			return false
		}
	}
	return true
}

// readBody reads a body of a media type.
func readBody(c *gin.Context, want string, read func(*gin.Context) (any, error)) (any, error) {
	media, parameters, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != want || len(c.Request.Header["Content-Type"]) != 1 {
		return nil, problem.UnsupportedMediaType(want)
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem.UnsupportedMediaType(want)
	}
	if c.GetHeader("Content-Encoding") != "" { // nothing is inflated here (RFC 9110 §8.4)
		return nil, problem.UnsupportedMediaType(want)
	}
	return read(c)
}

func readJSON(c *gin.Context) (any, error) {
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return nil, unreadable(err)
	}
	return decodeStrict(body)
}

// readForm reads the declared members of a form, each of which is there once (RFC 6749 §3.1). The request keeps it for the generated
// handlers.
func (o *operation) readForm(c *gin.Context) (any, error) {
	if err := c.Request.ParseForm(); err != nil {
		return nil, unreadable(err)
	}
	members := map[string]any{}
	for name, values := range c.Request.PostForm {
		switch {
		case o.body.Properties[name] == nil:
		case len(values) > 1:
			return nil, problem.Malformed("The form has a member twice.")
		case !plain(nil, url.Values{name: values}):
			return nil, problem.Malformed("The form is not valid text.")
		default:
			members[name] = values[0]
		}
	}
	return members, nil
}

// unreadable is the problem of a body that ends too early or too late. It has no cause: a client that goes away in mid-body is no
// outage of ours.
func unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge()
	}
	return problem.Malformed("The body cannot be read.")
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
	w := wrong{details: map[string]string{}, objects: map[string]bool{}}
	w.collect(err)
	fields := make([]problem.Field, 0, len(w.details))
	for _, pointer := range slices.Sorted(maps.Keys(w.details)) {
		fields = append(fields, problem.Field{Pointer: pointer, Detail: w.details[pointer]})
	}
	return fields
}

// wrong is what a body breaks: the first rule by the pointer of the member, and the objects whose unknown members are
// among them. The validator reports such an object once for each member, and it is looked through once.
type wrong struct {
	details map[string]string
	objects map[string]bool
}

func (w wrong) collect(err error) {
	if many, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, e := range many {
			w.collect(e)
		}
		return
	}
	e, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		w.add("", "is not valid")
		return
	}
	pointer := jsonPointer(e.JSONPointer())
	object, _ := e.Value.(map[string]any)
	if e.SchemaField != "properties" || object == nil {
		w.add(pointer, schemaDetail(e))
		return
	}
	if w.objects[pointer] {
		return
	}
	w.objects[pointer] = true
	for name := range object {
		if e.Schema.Properties[name] == nil {
			w.add(pointer+jsonPointer([]string{name}), schemaDetail(e))
		}
	}
}

func (w wrong) add(pointer, detail string) {
	if _, known := w.details[pointer]; !known {
		w.details[pointer] = detail
	}
}

func jsonPointer(parts []string) string {
	var pointer strings.Builder
	for _, part := range parts {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return pointer.String()
}
