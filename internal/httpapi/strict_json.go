package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"tenantry/internal/problem"
)

const (
	// maxDepth and maxMembers bound the memory that a small body can allocate.
	maxDepth   = 32
	maxMembers = 1000
)

// decodeStrict decodes one JSON value (RFC 8259, restricted by RFC 7493). It refuses duplicate
// names, invalid UTF-8, control characters in strings, data after the value, and too much depth or
// too many members. The result consists of map[string]any, []any, string, json.Number, bool and
// nil, the types of the contract's validator.
func decodeStrict(body []byte) (any, error) {
	d := &strictDecoder{Decoder: jsontext.NewDecoder(bytes.NewReader(body))}
	value, err := d.value()
	if err == nil {
		if _, err = d.ReadToken(); errors.Is(err, io.EOF) {
			return value, nil
		} else if err == nil {
			return nil, problem.Malformed(fmt.Sprintf("The body is not one JSON value: another begins before byte %d.",
				d.InputOffset()))
		}
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return nil, p
	}
	syntax, located := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, io.EOF):
		return nil, problem.Malformed("The body is empty. JSON is required.")
	case located && errors.Is(err, jsontext.ErrDuplicateName):
		return nil, problem.Malformed("The body names a member twice.",
			problem.Field{Pointer: string(syntax.JSONPointer), Detail: repeated})
	case located:
		return nil, problem.Malformed(fmt.Sprintf("The body is not valid JSON at byte %d.", syntax.ByteOffset))
	default:
		return nil, problem.Malformed("The body is not one valid JSON value.")
	}
}

type strictDecoder struct {
	*jsontext.Decoder
	members int
}

func (d *strictDecoder) value() (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	if d.StackDepth() > maxDepth {
		return nil, problem.Malformed("The body is nested too deeply.")
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '0':
		return number(token)
	case '"':
		s := token.String()
		return s, d.plain(s)
	case '[':
		return d.array()
	default:
		return d.object()
	}
}

// number returns the nearest float64 (RFC 7493 §2.2), written with all its digits if it is an
// integer: 1000000, 1e6 and 1000000.0 are equal, and the handlers accept only the first form.
func number(token jsontext.Token) (any, error) {
	f, err := token.Float()
	if err != nil {
		return nil, err
	}
	if whole := int64(f); math.Abs(f) <= 1<<53 && float64(whole) == f {
		return json.Number(strconv.FormatInt(whole, 10)), nil
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
}

func (d *strictDecoder) array() (any, error) {
	array := []any{}
	for d.PeekKind() != ']' {
		if err := d.count(); err != nil {
			return nil, err
		}
		item, err := d.value()
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
	_, err := d.ReadToken()
	return array, err
}

func (d *strictDecoder) object() (any, error) {
	object := map[string]any{}
	for d.PeekKind() != '}' {
		if err := d.count(); err != nil {
			return nil, err
		}
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		member := name.String() // copied, since the next token reuses the buffer
		if err := d.plain(member); err != nil {
			return nil, err
		}
		if object[member], err = d.value(); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return object, err
}

// plain refuses control characters. No operation needs them, and Postgres refuses some of them.
func (d *strictDecoder) plain(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return problem.Invalid(problem.Field{Pointer: string(d.StackPointer()),
			Detail: "must not contain control characters"})
	}
	return nil
}

func (d *strictDecoder) count() error {
	if d.members++; d.members > maxMembers {
		return problem.Malformed("The body has too many members.")
	}
	return nil
}
