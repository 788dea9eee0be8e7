package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRequestID_isKeptOnlyIfAcceptable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, id string
		kept     bool
	}{
		{"shortest", "abcdefgh", true},
		{"longest", strings.Repeat("x", 64), true},
		{"uuid", "01890000-0000-7000-8000-000000000001", true},
		{"every_kind_of_character", "aZ09._-x", true},
		{"none", "", false},
		{"too_short", "abcdefg", false},
		{"too_long", strings.Repeat("x", 65), false},
		{"very_long", strings.Repeat("x", 10<<10), false},
		{"space", "abcd efgh", false},
		{"tab", "abcd\tefgh", false},
		{"quote", `abcd"efgh`, false},
		{"equals_sign", "abcd=efgh", false},
		{"braces", `{"level":"info"}`, false},
		{"markup", "<script>alert(1)</script>", false},
		{"letters_of_others", "äöüäöüäöü", false},
		{"percent", "abcd%0aefgh", false},
		{"escape_sequence", "abcdefgh\x1b[31m", false},
		{"invalid_utf8", "abcdefgh\xff", false},
		{"newline", "abcdefgh\nlevel=info msg=forged", false},
		{"carriage_return", "abcdefgh\r\nX-Forged: 1", false},
		{"trailing_newline", "abcdefgh\n", false},
		{"nul", "abcdefgh\x00", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			// No HTTP client sends a newline in a header, so the handler is called as a careless
			// front end would.
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/nothing", http.NoBody)
			r.Header[requestIDHeader] = []string{test.id}
			w := httptest.NewRecorder()
			a.served.ServeHTTP(w, r)
			got := answer{w.Code, w.Header(), w.Body.Bytes()}
			a.holdProblem(got)
			id := got.header.Get(requestIDHeader)
			if kept := id == test.id; kept != test.kept {
				t.Errorf("%q became %q", test.id, id)
			}
			if !acceptable.MatchString(id) {
				t.Errorf("the new id %q is none that we would take", id)
			}
			lines := a.lines("request")
			if len(lines) != 1 || lines[0]["request_id"] != id || strings.Count(a.log.String(), "\n") != 1 {
				t.Errorf("logged %q", a.log)
			}
		})
	}
}

func TestRequestID_firstOfTwoIsUsed(t *testing.T) {
	t.Parallel()
	a := start(t)
	got := a.me("X-Request-Id: first-of-two", "X-Request-Id: second-of-two")
	if ids := got.header.Values(requestIDHeader); len(ids) != 1 || ids[0] != "first-of-two" {
		t.Errorf("%q", ids)
	}
}

func TestRequestID_isNewForEachRequest(t *testing.T) {
	t.Parallel()
	a := start(t)
	if first, second := a.me().header.Get(requestIDHeader), a.me().header.Get(requestIDHeader); first == second {
		t.Errorf("twice %q", first)
	}
}
