package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/apitest"
)

// declared is an operation of the contract.
type declared struct {
	method, pattern string
	*openapi3.Operation
}

func declaredOperations(t testing.TB) []declared {
	t.Helper()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	var operations []declared
	for _, pattern := range slices.Sorted(maps.Keys(contract.Paths.Map())) {
		item := contract.Paths.Value(pattern)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			o := *item.Operations()[method]
			o.Parameters = slices.Concat(item.Parameters, o.Parameters)
			operations = append(operations, declared{method, pattern, &o})
		}
	}
	return operations
}

func (o declared) takesJSON() bool {
	return o.RequestBody != nil && o.RequestBody.Value.Content["application/json"] != nil
}

// draft is a request on its way to the wire.
type draft struct {
	method, path, query string
	contentType         string
	authorization       string
	more                []string // lines of the header
	members             []member
	body                string
}

// member is a member of the body, as JSON.
type member struct{ name, value string }

// String returns the request as it is sent.
func (d *draft) String() string {
	lines := []string{d.method + " " + d.path + d.query + " HTTP/1.1", "Host: id.acme.test"}
	for _, header := range []struct{ name, value string }{{"Content-Type", d.contentType},
		{"Authorization", d.authorization}} {
		if header.value != "" {
			lines = append(lines, header.name+": "+header.value)
		}
	}
	if d.body != "" || d.contentType != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(d.body)))
	}
	return strings.Join(append(lines, d.more...), "\r\n") + "\r\n\r\n" + d.body
}

func object(members []member) string {
	texts := make([]string, 0, len(members))
	for _, m := range members {
		texts = append(texts, `"`+m.name+`":`+m.value)
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// malformer makes requests that are wrong in one way, by chance.
type malformer struct {
	*rand.Rand
	testing.TB
	access, refresh string
}

// draft returns a request that the operation would serve.
func (m *malformer) draft(o declared) *draft {
	m.Helper()
	d := &draft{method: o.method, path: o.pattern}
	for _, p := range o.Parameters {
		switch {
		case p.Value.Name == "provider":
			d.path = strings.Replace(d.path, "{provider}", "corporate", 1)
		case p.Value.In == "path":
			d.path = strings.Replace(d.path, "{"+p.Value.Name+"}", m.id(), 1)
		case p.Value.Required:
			d.query = "?" + p.Value.Name + "=x"
		}
	}
	if len(*o.Security) > 0 {
		d.authorization = "Bearer " + m.access
	}
	switch {
	case o.takesJSON():
		schema := o.RequestBody.Value.Content["application/json"].Schema.Value
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			d.members = append(d.members, member{name, m.sample(name, schema.Properties[name].Value)})
		}
		d.contentType, d.body = "application/json", object(d.members)
	case o.RequestBody != nil:
		d.contentType, d.body = "application/x-www-form-urlencoded", "state=s&code=c"
	}
	return d
}

func (m *malformer) id() string {
	return uuid.UUID{6: 0x70, 8: 0x80, 15: byte(m.Uint32())}.String()
}

// sample returns a value that is right: the one that the test knows, or the contract's example.
func (m *malformer) sample(name string, schema *openapi3.Schema) string {
	m.Helper()
	value := schema.Example
	if known, ok := map[string]string{
		"tenant": "acme", "email": apitest.OwnerEmail, "password": apitest.OwnerPassword,
		"current_password": apitest.OwnerPassword, "new_password": apitest.OwnerPassword, "refresh_token": m.refresh,
	}[name]; ok && schema.Type.Is("string") {
		value = known
	}
	if value == nil {
		m.Fatalf("the contract has no example of %s", name)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		m.Fatal(err)
	}
	return string(encoded)
}

// malformed returns a request to the operation that must be refused, now and then with what should
// not matter.
func (m *malformer) malformed(o declared) string {
	m.Helper()
	ways := []func(*draft){m.breakPath, m.breakMethod, m.breakHeader}
	if o.Responses.Status(http.StatusSeeOther) == nil { // what others add by way of the browser does not matter
		ways = append(ways, m.breakQuery)
	}
	if o.takesJSON() {
		ways = append(ways, m.breakBody, m.breakBody, m.breakBody, m.breakMember, m.breakMember, m.breakMember,
			m.breakContentType)
	}
	if len(*o.Security) > 0 {
		ways = append(ways, m.breakToken, m.breakToken)
	}
	for _, p := range o.Parameters {
		if p.Value.In == "path" {
			ways = append(ways, m.breakID, m.breakID)
		} else {
			ways = append(ways, func(d *draft) { m.breakParameter(d, p.Value) })
		}
	}
	d := m.draft(o)
	if m.IntN(4) == 0 {
		d.more = append(d.more, pick(m, oddHeaders))
	}
	pick(m, ways)(d)
	return d.String()
}

func pick[T any](m *malformer, from []T) T { return from[m.IntN(len(from))] }
