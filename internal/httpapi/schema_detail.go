package httpapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// schemaDetail describes which rule of the contract a value breaks, without the value.
func schemaDetail(err error) string {
	e, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok || e.Schema == nil {
		return "is not valid"
	}
	s := e.Schema
	switch e.SchemaField {
	case "required":
		return "is required"
	case "properties", "additionalProperties":
		return "is not known"
	case "minProperties":
		return fmt.Sprintf("needs at least %d members", s.MinProps)
	case "type":
		return "must be of type " + strings.Join(s.Type.Slice(), " or ")
	case "nullable":
		return "must not be null"
	case "enum":
		return fmt.Sprintf("must be one of %v", s.Enum)
	case "minLength":
		return fmt.Sprintf("must have at least %d characters", s.MinLength)
	case "maxLength":
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case "pattern":
		return "must match " + s.Pattern
	case "minItems":
		return fmt.Sprintf("needs at least %d items", s.MinItems)
	case "maxItems":
		return fmt.Sprintf("must have at most %d items", *s.MaxItems)
	case "uniqueItems":
		return "must not repeat an item"
	case "minimum":
		return fmt.Sprintf("must be at least %v", *s.Min)
	case "maximum":
		return fmt.Sprintf("must be at most %v", *s.Max)
	case "format":
		return "must be of format " + s.Format
	default:
		return "is not valid"
	}
}
