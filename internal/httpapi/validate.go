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

// validate checks parameters and body against the operation. The generated handlers receive the
// validated value, so that the body is decoded once, and exactly as it was checked.
func (r *router) validate(c *gin.Context) {
	req := requestOf(c)
	o := req.operation
	if o == nil {
		return
	}
	if err := validateParameters(c, req); err != nil {
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

// validatedBody passes the validated value to the generated handlers.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue returns the value. The generated handlers call it.
func (b validatedBody) ValidatedValue() any { return b.value }

// readBody reads a body of the media type want. It fails with 415 for any other type.
func readBody(c *gin.Context, want string, read func(*gin.Context) (any, error)) (any, error) {
	media, parameters, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != want || len(c.Request.Header["Content-Type"]) != 1 {
		return nil, problem.UnsupportedMediaType(want)
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem.UnsupportedMediaType(want)
	}
	if c.GetHeader("Content-Encoding") != "" { // compressed bodies are refused (RFC 9110 §8.4)
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

// readForm reads the declared members of a form and refuses repeated ones (RFC 6749 §3.1). The
// parsed form stays in the request, for the generated handlers.
func (o *operation) readForm(c *gin.Context) (any, error) {
	if err := c.Request.ParseForm(); err != nil {
		return nil, unreadableBody(err)
	}
	members := map[string]any{}
	for name, values := range c.Request.PostForm {
		switch {
		case o.body.Properties[name] == nil:
		case len(values) > 1:
			return nil, problem.Malformed("The form has a member twice.",
				problem.Field{Pointer: "/" + name, Detail: repeated})
		case !plain(values[0]):
			return nil, problem.Malformed("The form is not valid text.",
				problem.Field{Pointer: "/" + name, Detail: notPlain})
		default:
			members[name] = values[0]
		}
	}
	return members, nil
}

// unreadableBody returns the problem of a body that is truncated or too large. It has no cause: a
// client that disconnects in mid-body is not an outage.
func unreadableBody(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge(tooLarge.Limit)
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

// schemaFields returns each wrong member once, in order. It does not use the validator's text,
// which may repeat the value.
func schemaFields(err error) []problem.Field {
	w := wrongMembers{details: map[string]string{}, objects: map[string]bool{}}
	w.collect(err)
	fields := make([]problem.Field, 0, len(w.details))
	for _, pointer := range slices.Sorted(maps.Keys(w.details)) {
		fields = append(fields, problem.Field{Pointer: pointer, Detail: w.details[pointer]})
	}
	return fields
}

// wrongMembers maps the pointer of each wrong member to the first rule that it breaks. objects are
// the objects whose unknown members were added: the validator reports such an object once per
// member.
type wrongMembers struct {
	details map[string]string
	objects map[string]bool
}

func (w wrongMembers) collect(err error) {
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

func (w wrongMembers) add(pointer, detail string) {
	if _, ok := w.details[pointer]; !ok {
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
