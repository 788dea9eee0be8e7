package httpapi

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// refusals are bodies of a sign-in that are not what they should be (H-03, H-04). The first members
// are right.
var refusals = []struct {
	name, body string
	status     int
	pointers   []string
}{
	{"empty", "", 400, nil},
	{"white_space", " \r\n\t", 400, nil},
	{"null", "null", 422, []string{""}},
	{"array", "[" + loginBody + "]", 422, []string{""}},
	{"string", `"` + canary + `"`, 422, []string{""}},
	{"number", "4711", 422, []string{""}},
	{"true", "true", 422, []string{""}},
	{"cut_off", loginBody[:len(loginBody)-1], 400, nil},
	{"cut_off_in_a_string", `{"email":"ada`, 400, nil},
	{"not_json", "email=ada&password=" + canary, 400, nil},
	{"single_quotes", `{'email':'ada@acme.test','password':'` + canary + `'}`, 400, nil},
	{"bare_names", `{email:"ada@acme.test",password:"` + canary + `"}`, 400, nil},
	{"comment", loginBody + "// " + canary, 400, nil},
	{"trailing_comma", `{"email":"ada@acme.test","password":"` + canary + `",}`, 400, nil},
	{"trailing_data", loginBody + canary, 400, nil},
	{"trailing_bracket", loginBody + "}", 400, nil},
	{"two_values", loginBody + loginBody, 400, nil},
	{"two_values_on_two_lines", loginBody + "\n" + loginBody, 400, nil},
	{"byte_order_mark", "\ufeff" + loginBody, 400, nil},
	{"utf16", "\xff\xfe{\x00}\x00", 400, nil},

	{"duplicate_name", `{"email":"ada@acme.test","password":"` + canary + `","password":"other"}`, 400,
		[]string{"/password"}},
	{"duplicate_name_and_value", `{"email":"ada@acme.test","email":"ada@acme.test","password":"` + canary + `"}`, 400,
		[]string{"/email"}},
	{"duplicate_name_escaped", `{"email":"ada@acme.test","password":"` + canary + `","passw\u006frd":"other"}`, 400,
		[]string{"/password"}},
	{"duplicate_name_inside", `{"email":"ada@acme.test","password":"` + canary + `","tenant":{"a":1,"a":2}}`, 400,
		[]string{"/tenant/a"}},
	{"case_variant", `{"Email":"ada@acme.test","password":"` + canary + `"}`, 422, []string{"/Email", "/email"}},
	{"case_variant_beside", `{"email":"ada@acme.test","password":"` + canary + `","PASSWORD":"other"}`, 422,
		[]string{"/PASSWORD"}},
	{"case_variant_of_unicode", `{"email":"ada@acme.test","pa` + "\u017f\u017f" + `word":"` + canary + `"}`, 422,
		[]string{"/password", "/pa\u017f\u017fword"}},
	{"unknown_name", `{"email":"ada@acme.test","password":"` + canary + `","is_superuser":true}`, 422,
		[]string{"/is_superuser"}},
	{"name_with_nul", `{"email":"ada@acme.test","password":"` + canary + `","a\u0000":1}`, 422, []string{"/a\x00"}},
	{"empty_name", `{"email":"ada@acme.test","password":"` + canary + `","":1}`, 422, []string{"/"}},
	{"name_of_a_prototype", `{"email":"ada@acme.test","password":"` + canary + `","__proto__":{}}`, 422,
		[]string{"/__proto__"}},

	{"too_deep", `{"email":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, 400, nil},
	{"far_too_deep", strings.Repeat(`{"a":`, 10000), 400, nil},
	{"too_many_members", `{"email":[` + strings.Repeat("1,", 1000) + `1]}`, 400, nil},
	{"number_without_end", `{"email":1e400,"password":"` + canary + `"}`, 400, nil},
	{"not_a_number", `{"email":NaN,"password":"` + canary + `"}`, 400, nil},
	{"hexadecimal", `{"email":0x10,"password":"` + canary + `"}`, 400, nil},

	{"invalid_utf8", "{\"email\":\"ada\xff@acme.test\",\"password\":\"" + canary + "\"}", 400, nil},
	{"invalid_utf8_in_a_name", "{\"em\xc3il\":1}", 400, nil},
	{"overlong_utf8", "{\"email\":\"ada\xc0\x80@acme.test\",\"password\":\"" + canary + "\"}", 400, nil},
	{"lone_surrogate", `{"email":"ada@acme.test","password":"` + canary + `\ud800"}`, 400, nil},
	{"lone_low_surrogate", `{"email":"ada@acme.test","password":"` + canary + `\udc00"}`, 400, nil},
	{"surrogates_the_wrong_way_round", `{"email":"ada@acme.test","password":"\udc00\ud800"}`, 400, nil},
	{"raw_nul", "{\"email\":\"ada\x00@acme.test\",\"password\":\"" + canary + "\"}", 400, nil},
	{"raw_newline", "{\"email\":\"ada\n@acme.test\",\"password\":\"" + canary + "\"}", 400, nil},
	{"nul", `{"email":"ada\u0000@acme.test","password":"` + canary + `"}`, 422, []string{"/email"}},
	{"nul_in_a_password", `{"email":"ada@acme.test","password":"` + canary + `\u0000"}`, 422, []string{"/password"}},
	{"newline", `{"email":"ada\n@acme.test","password":"` + canary + `"}`, 422, []string{"/email"}},
	{"escape", `{"email":"ada\u001b[31m@acme.test","password":"` + canary + `"}`, 422, []string{"/email"}},
	{"delete", "{\"email\":\"ada\x7f@acme.test\",\"password\":\"" + canary + "\"}", 422, []string{"/email"}},
	{"c1_control", `{"email":"ada\u0085@acme.test","password":"` + canary + `"}`, 422, []string{"/email"}},
	{"nul_inside", `{"tenant":[{"a/b~":["\u0000"]}]}`, 422, []string{"/tenant/0/a~1b~0/0"}},
}

func TestBody_invalidJSONIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			code := map[int]string{400: "malformed_request", 422: "invalid_request"}[test.status]
			got := a.expect(test.status, code, a.login(test.body))
			if pointers := got.pointers(t); !slices.Equal(pointers, test.pointers) {
				t.Errorf("pointers %q, want %q", pointers, test.pointers)
			}
			a.expectHandled(0)
			if failed := a.lines("request failed"); len(failed) != 0 {
				t.Errorf("a mistake of the client was logged as ours: %v", failed)
			}
		})
	}
}

func TestBody_strictJSONIsAccepted(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"plain":          loginBody,
		"white_space":    "\r\n\t " + loginBody + " \n",
		"escaped_names":  `{"\u0065mail":"ada@acme.test","password":"` + canary + `"}`,
		"surrogate_pair": `{"email":"ada@acme.test","password":"\ud83d\ude00"}`,
		"all_of_unicode": `{"email":"ada@acme.test","password":"äß日本語😀 \u00a0\u200b\ufeff\uffff"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			a.expect(http.StatusOK, "", a.login(body))
			a.expectHandled(1)
		})
	}
}

func TestDecodeStrict_limitsDepthAndMembers(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	items := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]" }
	for _, test := range []struct {
		name, body string
		accepted   bool
	}{
		{"depth_32", nested(32), true},
		{"depth_33", nested(33), false},
		{"depth_32_of_objects", strings.Repeat(`{"a":`, 31) + "{}" + strings.Repeat("}", 31), true},
		{"depth_33_of_objects", strings.Repeat(`{"a":`, 32) + "{}" + strings.Repeat("}", 32), false},
		{"siblings_do_not_add_depth", "[" + nested(31) + "," + nested(31) + "]", true},
		{"1000_items", items(1000), true},
		{"1001_items", items(1001), false},
		{"1000_in_all", "[" + items(499) + "," + items(499) + "]", true},
		{"1001_in_all", "[" + items(499) + "," + items(500) + "]", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := decodeStrict([]byte(test.body)); (err == nil) != test.accepted {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDecodeStrict_returnsTypesOfValidator(t *testing.T) {
	t.Parallel()
	got, err := decodeStrict([]byte(`{"a":[1,-2.5e3,2592001,1e6,1000000.0,0.5,1e21,true,false,null,` +
		`"\u00e4\"\\\/"],"o":{},"l":[],"":"s"}`))
	number := func(s string) any { return json.Number(s) }
	want := map[string]any{"a": []any{
		number("1"), number("-2500"), number("2592001"), number("1000000"), number("1000000"), number("0.5"),
		number("1e+21"), true, false, nil, `ä"\/`,
	}, "o": map[string]any{}, "l": []any{}, "": "s"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, %v", got, err)
	}
}

// Each answer says where the body is wrong, and repeats none of its values.
func TestBody_syntaxErrorHasByteOffset(t *testing.T) {
	t.Parallel()
	a := start(t)
	for body, want := range map[string]string{
		"":                         "The body is empty. JSON is required.",
		`{"email":"x",}`:           "The body is not valid JSON at byte 12.",
		`{"email":"` + canary:      "The body is not valid JSON at byte",
		`{"email":x}`:              "The body is not valid JSON at byte 9.",
		`{} {}`:                    "The body is not one JSON value: another begins before byte 4.",
		strings.Repeat(" ", 65537): "The body has more than 65536 bytes.",
	} {
		if got := a.login(body); !strings.HasPrefix(*got.document(t).Detail, want) {
			t.Errorf("%.20q: %s", body, got.body)
		}
	}
	twice := a.expect(http.StatusBadRequest, "malformed_request",
		a.login(`{"email":"x","password":"`+canary+`","email":"y"}`))
	if pointers := twice.pointers(t); len(pointers) != 1 || pointers[0] != "/email" {
		t.Errorf("%s", twice.body)
	}
	a.expectHandled(0)
}
