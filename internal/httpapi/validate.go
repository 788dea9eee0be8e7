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
	if len(o.bodies) > 0 {
		value, err := o.readBody(c)
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

// readBody reads and validates a body. It fails with 415 for a media type that the operation does
// not declare, another character encoding than UTF-8 and a compressed body (RFC 9110 §8.4).
func (o *operation) readBody(c *gin.Context) (any, error) {
	media, parameters, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	schema := o.bodies[media]
	charset := parameters["charset"]
	if err != nil || schema == nil || len(c.Request.Header["Content-Type"]) != 1 ||
		(charset != "" && !strings.EqualFold(charset, "utf-8")) || c.GetHeader("Content-Encoding") != "" {
		return nil, problem.UnsupportedMediaType(strings.Join(slices.Sorted(maps.Keys(o.bodies)), " or "))
	}
	value, err := bodyReaderOf(media)(c, schema)
	if err != nil {
		return nil, err
	}
	return value, validateBody(schema, value)
}

// The media types with a meaning of their own.
const (
	mediaJSON    = "application/json"
	mediaForm    = "application/x-www-form-urlencoded"
	mediaHTML    = "text/html"
	mediaProblem = "application/problem+json"
)

// bodyReader reads a body into the value that a schema describes.
type bodyReader func(c *gin.Context, schema *openapi3.Schema) (any, error)

// bodyReaderOf returns the reader of a media type, nil if there is none. Types with the suffix
// +json are JSON (RFC 6839 §3.1).
func bodyReaderOf(media string) bodyReader {
	switch {
	case media == mediaForm:
		return readForm
	case media == mediaJSON || strings.HasSuffix(media, "+json"):
		return readJSON
	default:
		return nil
	}
}

func readJSON(c *gin.Context, _ *openapi3.Schema) (any, error) {
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return nil, unreadableBody(err)
	}
	return decodeStrict(body)
}

// readForm reads the declared members of a form and refuses repeated ones (RFC 6749 §3.1). The
// parsed form stays in the request, for the generated handlers.
func readForm(c *gin.Context, schema *openapi3.Schema) (any, error) {
	if err := c.Request.ParseForm(); err != nil {
		return nil, unreadableBody(err)
	}
	requestOf(c).form = c.Request.PostForm
	members := map[string]any{}
	for name, values := range c.Request.PostForm {
		switch {
		case schema.Properties[name] == nil:
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
