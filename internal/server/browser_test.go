package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// publicHost is the host of the server's public URL, application that of the application that people come from.
const (
	publicHost  = "id.acme.test"
	application = "https://app.acme.test/signed-in"
)

// browser is a client with cookies. It reaches the server under its public URL, follows redirects as browsers do, and stops where
// an application begins.
type browser struct {
	*instance
	*http.Client
	// hops are the answers of the server on the way of the last visit.
	hops []answer
}

func (s *instance) browser() *browser {
	s.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	b := &browser{instance: s}
	b.Client = &http.Client{Jar: jar, Transport: b, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Host, ".test") && r.URL.Host != publicHost || strings.Contains(r.URL.Scheme, ".") || r.URL.Hostname() == "localhost" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// RoundTrip sends what is for the public URL to the server, and holds its answers against the contract.
func (b *browser) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != publicHost {
		return http.DefaultTransport.RoundTrip(r)
	}
	server, err := url.Parse(b.url)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.URL.Scheme, sent.URL.Host = server.Scheme, server.Host
	sent.URL.Path = strings.TrimPrefix(sent.URL.Path, "/identity") // as a proxy does where the public URL has a path
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
	a := answer{response.StatusCode, response.Header, body}
	b.hops = append(b.hops, a)
	b.holdAgainstContract(sent, a)
	return response, nil
}

// visit goes to a path of the server, or to an URL, and returns where that ends.
func (b *browser) visit(where string) answer {
	b.Helper()
	return b.send("GET", where, nil)
}

// submit posts a form.
func (b *browser) submit(where string, form url.Values) answer {
	b.Helper()
	return b.send("POST", where, form)
}

func (b *browser) send(method, where string, form url.Values) answer {
	b.Helper()
	if strings.HasPrefix(where, "/") {
		where = "https://" + publicHost + where
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
	b.hops = nil
	response, err := b.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, content}
}

// arrival is the query with which an answer leads to an application.
func (a answer) arrival(b *browser) url.Values {
	b.Helper()
	at, err := url.Parse(a.header.Get("Location"))
	if a.status != http.StatusSeeOther || err != nil {
		b.Fatalf("%d leads to no application: %s %s", a.status, a.header.Get("Location"), a.body)
	}
	return at.Query()
}
