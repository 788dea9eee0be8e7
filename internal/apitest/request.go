package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"tenantry/internal/api"
)

var contract = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	contract, err := api.Contract()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(contract)
})

// ContractRoutes returns the router of the contract's operations.
func ContractRoutes(t testing.TB) routers.Router {
	t.Helper()
	router, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// Answer is the response to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Field returns a string member of the body, or "".
func (a Answer) Field(t testing.TB, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(a.Body, &members); err != nil {
		t.Fatalf("%d %s: %v", a.Status, a.Body, err)
	}
	s, _ := members[name].(string)
	return s
}

// Call sends a request and checks the response against the contract. A body that is not a string is
// sent as JSON.
func (s *Instance) Call(method, path, token string, body any) Answer {
	s.Helper()
	var reader io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			s.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, reader)
	if err != nil {
		s.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.Send(r)
}

// Send sends a request, follows redirects, and checks the response against the contract. The test
// fails if the log contains a secret of either.
func (s *Instance) Send(r *http.Request) Answer {
	s.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := Answer{Status: response.StatusCode, Header: response.Header, Body: content}
	s.CheckContract(r, a)
	if s.Secrets != nil {
		s.Secrets.observe(sent(r), r.Header)
		s.Secrets.observe(content, response.Header)
	}
	return a
}

// CheckContract fails the test if the contract does not allow the response to the request.
func (s *Instance) CheckContract(r *http.Request, a Answer) {
	s.Helper()
	plain := r.Clone(s.Context())
	plain.URL.Host, plain.URL.Scheme, plain.Host = "", "", ""
	// The response to HEAD is that to GET, without a body.
	head := r.Method == http.MethodHead && a.Status != http.StatusMethodNotAllowed
	if head {
		plain.Method = http.MethodGet
	}
	route, parameters, err := s.Routes.FindRoute(plain)
	if err != nil {
		return // not an operation of the contract
	}
	err = openapi3filter.ValidateResponse(s.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters,
			Route: route},
		Status: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: head},
	})
	if err != nil {
		s.Errorf("%s %s: the response violates the contract: %v", r.Method, r.URL.Path, err)
	}
}

// Expect returns the response. It fails the test unless the response has the status.
func (s *Instance) Expect(status int, a Answer) Answer {
	s.Helper()
	if a.Status != status {
		s.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// Login signs the owner in and returns the access and the refresh token.
func (s *Instance) Login() (access, refresh string) {
	s.Helper()
	a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "", Credentials(OwnerEmail, OwnerPassword)))
	return a.Field(s.TB, "access_token"), a.Field(s.TB, "refresh_token")
}

// Refresh exchanges a refresh token.
func (s *Instance) Refresh(token string) Answer {
	s.Helper()
	return s.Call("POST", "/api/v1/auth/refresh", "", map[string]string{"refresh_token": token})
}

// Statements returns the number of SQL statements in the header Server-Timing.
func (a Answer) Statements(t testing.TB) string {
	t.Helper()
	_, rest, _ := strings.Cut(a.Header.Get("Server-Timing"), `desc="`)
	n, _, ok := strings.Cut(rest, " ")
	if !ok {
		t.Fatalf("no Server-Timing in %v", a.Header)
	}
	return n
}

// Milliseconds returns the time of the statements in the header Server-Timing.
func (a Answer) Milliseconds(t testing.TB) (ms float64) {
	t.Helper()
	_, duration, _ := strings.Cut(a.Header.Get("Server-Timing"), "dur=")
	if _, err := fmt.Sscan(duration, &ms); err != nil {
		t.Fatalf("Server-Timing %v: %v", a.Header, err)
	}
	return ms
}

// Credentials returns the body of a sign-in in the first tenant.
func Credentials(email, password string) map[string]string {
	return map[string]string{"tenant": "acme", "email": email, "password": password}
}

// SendOnce sends a request without following redirects, and checks the response against the
// contract.
func (s *Instance) SendOnce(r *http.Request) Answer {
	s.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	s.CheckContract(r, a)
	return a
}

// CallFrom sends a request without a credential from a client network. It does not follow
// redirects.
func (s *Instance) CallFrom(method, path, ip string, body any) Answer {
	s.Helper()
	content, media := []byte(nil), "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		content, media = []byte(b), "application/x-www-form-urlencoded"
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			s.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, bytes.NewReader(content))
	if err != nil {
		s.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", media)
	}
	r.Header.Set("X-Forwarded-For", ip)
	return s.SendOnce(r)
}

// ExchangeCode exchanges the code of a sign-in at a provider for tokens.
func (s *Instance) ExchangeCode(code string) Answer {
	s.Helper()
	return s.Call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code})
}
