package server_test

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// oddHeaders are headers whose value has no effect.
var oddHeaders = []string{
	"X-Request-Id: a level=info msg=forged", "X-Request-Id: \xff\xfe", "X-Forwarded-For: 127.0.0.1, ' OR 1=1",
	"X-Forwarded-Host: evil.test", "X-Tenant-ID: \xc0\x80",
	"Accept: */*;q=1e400", "Accept-Encoding: ,,,", "Accept-Language: " + strings.Repeat("x,", 2000), "Cookie: " +
		strings.Repeat("a=b; ", 500), "Origin: null",
	"Range: bytes=0-,-1", "If-None-Match: \"\x80", "X-HTTP-Method-Override: DELETE", "X-Original-URL: /readyz",
	"User-Agent: ${jndi:ldap://127.0.0.1/a}", "Expect: ", "Forwarded: for=\"",
}

func (m *malformer) breakPath(d *draft) {
	switch tricks := []string{
		"%00", "%0d%0aX-Forged:%20yes", "/", "//", "/.", "/..", "/..%2f", "..%2f", "%2f..%2f", "%5c..%5c", ";a=b",
		"%20", "%ff", "%zz", "%", "%u0000", "\x00", "\xff", "{id}", "/%2e%2e/%2e%2e/etc/passwd",
		"%c0%ae%c0%ae", ".json", "*", "'--", "/" + strings.Repeat("a/", 500), strings.Repeat("%41", 3000),
	}; m.IntN(6) {
	case 0:
		d.path = "/" + d.path
	case 1:
		d.path = strings.ToUpper(d.path)
	case 2:
		cut := 1 + m.IntN(len(d.path)-1)
		d.path = d.path[:cut] + "%00" + d.path[cut:]
	default:
		d.path += pick(m, tricks)
	}
}

func (m *malformer) breakQuery(d *draft) {
	d.query = "?" + pick(m, []string{
		"%zz", "x=%", "a;b", "x=%00", "%00=x", "x=%ff", "%c0%80=", "x=%0d%0aSet-Cookie:a", "x=%ed%a0%80", "x=%C2%85",
		"include=roles;include=tenant", "&&=%7f", strings.Repeat("a=b&", 1000) + "%", "x=\xff",
		"access_token=" + m.access + "&%", "a[%00]=1",
	})
}

func (m *malformer) breakMethod(d *draft) {
	d.method = pick(m, []string{"PUT", "TRACE", "PROPFIND", "get", "post", "PATCH\t", "G\xffT", "DELETE/", "FOO",
		"OPTIONS\x00", strings.Repeat("A", 2000)})
}

// breakHeader adds an invalid header, or one that must not be repeated.
func (m *malformer) breakHeader(d *draft) {
	d.more = append(d.more, pick(m, []string{
		"no colon", "Host: evil.test", "Content-Length: -1", "Content-Length: 1e3",
		"Content-Length: 18446744073709551616", "Content-Length: 0x10", "Bad Name: x",
		"Content-Type : application/json",
		"X-Nul: a\x00b", "X-Cr: a\rb", ": x", "\x00: x", "(x): y", "X-Bell: \a", "Content-Length: +7",
		"Content-Length: \u0663",
	}))
}

func (m *malformer) breakContentType(d *draft) {
	d.contentType = pick(m, []string{
		"text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/jsonp", "application/json, application/json", "application/json; charset=utf-16", "application/*",
		"*/*",
		"application/json; charset=\xff", "application/json\r\nContent-Type: text/plain",
		"application/json; charset=utf-8; charset=utf-16", "application/problem+json", "json", ";",
		"application/json/x", `application/json; "`,
	})
}

func (m *malformer) breakToken(d *draft) {
	signature := m.access[strings.LastIndexByte(m.access, '.'):]
	claims := m.access[strings.IndexByte(m.access, '.'):strings.LastIndexByte(m.access, '.')]
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	flipped := []byte(m.access)
	flipped[m.IntN(len(flipped))] ^= 1 // changes a letter, a digit, - or _ to another, or to what is no base64
	d.authorization = pick(m, []string{
		"", "Bearer", "Bearer ", "Basic Og==", "Bearer null", "Bearer undefined", "Bearer ..", "Bearer " +
			strings.Repeat(".", 1+m.IntN(20_000)), "Bearer  " + m.access, "Bearer " + m.refresh, m.access, "Token " +
			m.access,
		"Bearer " + m.access + " " + m.access, "Bearer " + m.access + "\r\nAuthorization: Bearer " + m.access,
		"Bearer " + m.access + ", Bearer " + m.access, "Bearer \xff\xfe", "Bearer {}.{}.{}", "Bearer " +
			string(flipped),
		"Bearer " + m.access[:m.IntN(len(m.access))], "Bearer " + header(`{"alg":"none"}`) + claims + ".", "Bearer " +
			header(`{"alg":"HS256","typ":"at+jwt","kid":"' OR 1=1"}`) + claims + signature,
	})
}

func (m *malformer) breakID(d *draft) {
	parent := d.path[:strings.LastIndexByte(d.path, '/')+1]
	d.path = parent + pick(m, []string{
		"not-a-uuid", "0", "-1", "9223372036854775808", "1e400", "%00", "%ff", "..%2f..%2freadyz", "%2e%2e",
		"'%20OR%201=1--", "{id}", "null", "ME", m.id() + "0", m.id()[1:], m.id() + "%00", "%7B" + m.id(),
		strings.Repeat("a", 10<<10),
		strings.ReplaceAll(m.id(), "-", "_"), "%F0%9D%9F%98", "$ne", "*", "%2a",
	})
}

func (m *malformer) breakParameter(d *draft, p *openapi3.Parameter) {
	values := []string{"", "%00", "%ff", "%0A"}
	if free := p.Schema.Value.Type.Is("string") && p.Schema.Value.Enum == nil; !free {
		values = append(values, "nope", ",", "roles,,tenant", "-1", "2147483648", "9223372036854775808", "1e400",
			"0x10", "%D9%A3", "NaN",
			strings.Repeat("roles,", 1000), "roles,roles", "[]", "'--")
	}
	d.query = "?" + p.Name + "=" + pick(m, values)
}

// breakMember makes one member of the body wrong, or another one too many.
func (m *malformer) breakMember(d *draft) {
	at := m.IntN(len(d.members))
	right := &d.members[at]
	switch long := 1025 + m.IntN(3000); m.IntN(5) {
	case 0: // of another type
		right.value = pick(m, []string{
			"0", "-0", "1e400", "-1e308", "9007199254740993", strings.Repeat("9", 1+m.IntN(1000)), "true", "null", "[]",
			"{}", `["a"]`, `{"$ne":""}`, "[" + right.value + "]", "NaN", "Infinity", "0x10", "01", "+1", ".5", "1.", "",
		})
	case 1: // of the right type, and no text
		right.value = `"` + pick(m, []string{
			`\u0000`, "\x00", "\xff", "\xc0\x80", "\xed\xa0\x80", `\ud800`, `\udc00\ud800`, `\u0085`, `\n`, "\n",
			`\u001b[2J`, `\x00`, `\u00zz`, `\`, "\x7f", strings.Repeat("a", 20) + `\r\nBcc: x@y.test`,
		}) + right.value[1:]
	case 2: // longer than any may be
		right.value = `"` + strings.Repeat(pick(m, []string{"a", "\U0001f600", "e\u0301", `\u00e4`}), long) + `"`
	case 3: // twice, also in other letters
		more := *right
		if m.IntN(2) == 0 {
			more.name = `\u00` + strconv.FormatInt(int64(more.name[0]), 16) + more.name[1:]
		}
		d.members = append(d.members, more)
	default: // unknown
		name := pick(m, []string{"is_superuser", "tenant_id", "role", "id", "__proto__", "$where", "", " ",
			"password_hash", `\u0000`, strings.ToUpper(right.name), right.name + " ", strings.Repeat("n", long)})
		d.members = append(d.members, member{name, pick(m, []string{"true", `"x"`, "1e308", "{}", "null"})})
	}
	d.body = object(d.members)
}

// breakBody makes the body no JSON, or another value than an object of the contract.
func (m *malformer) breakBody(d *draft) {
	whole, depth := d.body, 1+m.IntN(20_000)
	at := m.IntN(len(whole))
	d.body = pick(m, []string{
		"", " ", "null", "0", "true", `"x"`, "[]", "{}", "[" + whole + "]", whole[:at], whole[:at] +
			pick(m, []string{"\x00", "\xff", "\x1f"}) + whole[at+1:], whole + whole, whole + "x", whole + "// comment",
		"\ufeff" + whole, "\xff\xfe{\x00}\x00",
		strings.ReplaceAll(whole, `"`, "'"), strings.Replace(whole, "}", ",}", 1), "email=a&password=b", "<a>b</a>",
		strings.Repeat("[", depth), strings.Repeat("[", depth) + strings.Repeat("]", depth),
		strings.Repeat(`{"a":`, depth/4) + "1",
		"[" + strings.Repeat("0,", depth) + "0]", whole[:len(whole)-1] + `,"a":` + strings.Repeat("[", 40) +
			strings.Repeat("]", 40) + "}", whole + strings.Repeat(" ", 70_000), "\x1f\x8b\x08\x00" + whole, "--x\r\n" +
			whole,
	})
}
