package httpapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/internal/api"
)

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// document returns the problem that the answer is.
func (a answer) document(t testing.TB) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return p
}

// pointers returns the pointers of the answer's errors, in order.
func (a answer) pointers(t testing.TB) []string {
	t.Helper()
	pointers := []string{}
	if errs := a.document(t).Errors; errs != nil {
		for _, e := range *errs {
			if e.Pointer == nil {
				t.Fatalf("an error without pointer: %s", a.body)
			}
			pointers = append(pointers, *e.Pointer)
		}
	}
	return pointers
}

func (a *app) holdHeaders(got answer) {
	a.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
		"Strict-Transport-Security": "max-age=1",
	} {
		if values := got.header.Values(name); len(values) != 1 || values[0] != want {
			a.Errorf("%d: %s is %q, want %q", got.status, name, values, want)
		}
	}
}

// inside is what must never be read outside (H-11).
var inside = regexp.MustCompile(`pq:|SQLITE|\.go:|goroutine|panic|db\.internal|` + canary)

// holdProblem holds an error against the contract, itself, and what it must not say.
func (a *app) holdProblem(got answer) {
	a.Helper()
	if contentType := got.header.Get("Content-Type"); contentType != "application/problem+json" {
		a.Errorf("an error of type %q: %s", contentType, got.body)
	}
	var value any
	if err := json.Unmarshal(got.body, &value); err != nil {
		a.Fatalf("%d %q: %v", got.status, got.body, err)
	}
	if err := a.contract.Components.Schemas["Problem"].Value.VisitJSON(value,
		openapi3.EnableFormatValidation()); err != nil {
		a.Errorf("the error breaks the contract: %v", err)
	}
	p := got.document(a.TB)
	if p.Status != got.status || p.Title != http.StatusText(got.status) || p.Type != "urn:tenantry:problem:"+p.Code {
		a.Errorf("status %d with the problem %s", got.status, got.body)
	}
	if id := got.header.Get(requestIDHeader); id == "" || p.RequestID != id {
		a.Errorf("request id %q in the body, %q in the header", p.RequestID, id)
	}
	if found := inside.Find(got.body); found != nil {
		a.Errorf("the error says %q: %s", found, got.body)
	}
	if challenged := got.header.Get("WWW-Authenticate") != ""; challenged != (got.status == http.StatusUnauthorized) {
		a.Errorf("status %d with WWW-Authenticate: %v", got.status, challenged)
	}
}

// expect fails the test unless the answer has the status and, for an error, the code.
func (a *app) expect(status int, code string, got answer) answer {
	a.Helper()
	if got.status != status {
		a.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	if code != "" && got.document(a.TB).Code != code {
		a.Errorf("code %q, want %q", got.document(a.TB).Code, code)
	}
	return got
}
