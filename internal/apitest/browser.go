package apitest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// PublicHost is the host of the server's public URL. ApplicationURL is the application to which a
// sign-in at a provider redirects.
const (
	PublicHost     = "id.acme.test"
	ApplicationURL = "https://app.acme.test/signed-in"
)

// Browser is a client with cookies. It sends requests for the public URL to the server, follows
// redirects, and stops at a redirect to an application.
type Browser struct {
	*Instance
	*http.Client
	// Hops are the responses of the server since the last Visit or Submit began.
	Hops []Answer
}

// Browser returns a browser without cookies.
func (s *Instance) Browser() *Browser {
	s.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	b := &Browser{Instance: s}
	b.Client = &http.Client{Jar: jar, Transport: b, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Host, ".test") && r.URL.Host != PublicHost || strings.Contains(r.URL.Scheme, ".") ||
			r.URL.Hostname() == "localhost" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// RoundTrip sends a request for the public URL to the server, and checks the response against the
// contract.
func (b *Browser) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != PublicHost {
		return http.DefaultTransport.RoundTrip(r)
	}
	server, err := url.Parse(b.URL)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.URL.Scheme, sent.URL.Host = server.Scheme, server.Host
	sent.URL.Path = strings.TrimPrefix(sent.URL.Path, "/identity") // as a proxy does for a public URL with a path
	response, err := http.DefaultTransport.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	a := Answer{response.StatusCode, response.Header, body}
	b.Hops = append(b.Hops, a)
	b.CheckContract(sent, a)
	return response, nil
}

// Visit gets a path of the server, or a URL, and returns the last response.
func (b *Browser) Visit(where string) Answer {
	b.Helper()
	return b.send("GET", where, nil)
}

// Submit posts a form and returns the last response.
func (b *Browser) Submit(where string, form url.Values) Answer {
	b.Helper()
	return b.send("POST", where, form)
}

func (b *Browser) send(method, where string, form url.Values) Answer {
	b.Helper()
	if strings.HasPrefix(where, "/") {
		where = "https://" + PublicHost + where
	}
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.Context(), method, where, body)
	if err != nil {
		b.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	b.Hops = nil
	response, err := b.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return Answer{response.StatusCode, response.Header, content}
}

// RedirectQuery returns the query of a redirect to an application.
func (a Answer) RedirectQuery(b *Browser) url.Values {
	b.Helper()
	at, err := url.Parse(a.Header.Get("Location"))
	if a.Status != http.StatusSeeOther || err != nil {
		b.Fatalf("%d is not a redirect to an application: %s %s", a.Status, a.Header.Get("Location"), a.Body)
	}
	return at.Query()
}

// AuthorizePath is the path that begins a sign-in at the provider "corporate".
const AuthorizePath = "/api/v1/auth/oauth/corporate/authorize"

// UntilCallback begins a sign-in at a path, follows redirects to the provider and back, and returns
// the path of the callback without requesting it.
func (b *Browser) UntilCallback(path string) string {
	b.Helper()
	client := *b.Client
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	stopping := &Browser{Instance: b.Instance, Client: &client}
	at, err := url.Parse(stopping.Visit(path).Header.Get("Location"))
	if err != nil || !strings.HasSuffix(at.Path, "/callback") {
		b.Fatalf("redirected to %s", at)
	}
	return at.RequestURI()
}

// BeginLink begins to link an identity to a session's user; the response has the URL to visit.
func (b *Browser) BeginLink(path, access string) Answer {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), "POST", "https://"+PublicHost+path, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	response, err := b.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	return b.Hops[len(b.Hops)-1]
}

// Link begins to link an identity, visits the URL and returns the last response.
func (b *Browser) Link(path, access string) Answer {
	b.Helper()
	begun := b.BeginLink(path, access)
	if begun.Status != http.StatusOK {
		return begun
	}
	return b.Visit(begun.Field(b.TB, "authorization_url"))
}

// LinkPath is the path that begins to link an identity at the provider "corporate".
const LinkPath = "/api/v1/auth/oauth/corporate/link"

// AuthorizeToApplication is AuthorizePath with a redirect to ApplicationURL.
const AuthorizeToApplication = AuthorizePath + "?redirect_uri=https%3A%2F%2Fapp.acme.test%2Fsigned-in"
