package httpapi

import (
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// validate holds parameters and body against what the operation declares. The generated handlers take the value that was
// validated, so that nothing is decoded twice and nothing else is decoded than was checked.
func (r *router) validate(c *gin.Context) {
	v := visitOf(c)
	o := v.operation
	if o == nil {
		return
	}
	if err := validateParameters(c, v); err != nil {
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
		return nil, unreadableBody(err)
	}
	return decodeStrict(body)
}

// readForm reads the declared members of a form, each of which is there once (RFC 6749 §3.1). The request keeps it for the generated
// handlers.
func (o *operation) readForm(c *gin.Context) (any, error) {
	if err := c.Request.ParseForm(); err != nil {
		return nil, unreadableBody(err)
	}
	members := map[string]any{}
	for name, values := range c.Request.PostForm {
		switch {
		case o.body.Properties[name] == nil:
		case len(values) > 1:
			return nil, problem.Malformed("The form has a member twice.", problem.Field{Pointer: "/" + name, Detail: repeated})
		case !plain(values[0]):
			return nil, problem.Malformed("The form is not valid text.", problem.Field{Pointer: "/" + name, Detail: notPlain})
		default:
			members[name] = values[0]
		}
	}
	return members, nil
}

// unreadableBody is the problem of a body that ends too early or too late. It has no cause: a client that goes away in mid-body is no
// outage of ours.
func unreadableBody(err error) error {
	if beyond, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge(beyond.Limit)
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
