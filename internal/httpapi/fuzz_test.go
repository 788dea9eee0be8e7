package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"tenantry/internal/problem"
)

// FuzzDecodeStrict holds that the decoder never panics, accepts less than encoding/json and nothing
// else, and that what it has accepted comes back as it was.
func FuzzDecodeStrict(f *testing.F) {
	for _, r := range refusals {
		f.Add([]byte(r.body))
	}
	for _, body := range []string{
		loginBody, `{"refresh_token":"01890000-0000-7000-8000-000000000001.0.AAAA"}`,
		`{"full_name":"Zo\u00eb \ud83d\ude00"}`,
		`[1,-0,1.5e-7,1e308,9007199254740993,[],{},"",null,true,false]`, `{"a":{"b":{"a":1},"c":{"a":2}}}`,
		"\"\u2028<>&\"",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value, err := decodeStrict(body)
		if err != nil {
			p, ok := err.(*problem.Problem) //nolint:errorlint // it is promised to be one, not to hold one
			if !ok || (p.Status != http.StatusBadRequest && p.Status != http.StatusUnprocessableEntity) ||
				value != nil {
				t.Fatalf("%v and %v", value, err)
			}
			return
		}
		var loose any
		if err := json.Unmarshal(body, &loose); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", body, err)
		}
		if written, kept := namesWritten(t, body), namesKept(t, value); written != kept {
			t.Fatalf("%d names were written and %d kept", written, kept)
		}
		again, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var same any
		if err := json.Unmarshal(again, &same); err != nil || !reflect.DeepEqual(same, loose) {
			t.Fatalf("%#v, %v, and by encoding/json %#v", same, err, loose)
		}
		if back, err := decodeStrict(again); err != nil || !reflect.DeepEqual(back, value) {
			t.Fatalf("%s came back as %#v, %v", again, back, err)
		}
	})
}

// namesWritten counts the names of all objects of a document, each as often as it stands there.
func namesWritten(t *testing.T, body []byte) int {
	t.Helper()
	names := 0
	type level struct{ object, value bool } // whether it is an object, and a value comes next
	var open []level
	for d := json.NewDecoder(bytes.NewReader(body)); d.More() || len(open) > 0; {
		token, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].object {
			if !open[n-1].value {
				names++
			}
			open[n-1].value = !open[n-1].value
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			open = append(open, level{object: token == json.Delim('{')})
		}
	}
	return names
}

// namesKept counts the names of all objects of a value, and refuses what no string of it may hold.
func namesKept(t *testing.T, value any) int {
	t.Helper()
	names := 0
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			names += 1 + namesKept(t, member)
		}
	case []any:
		for _, item := range v {
			names += namesKept(t, item)
		}
	case string:
		if strings.ContainsFunc(v, unicode.IsControl) {
			t.Fatalf("%q holds a control character", v)
		}
	}
	return names
}
