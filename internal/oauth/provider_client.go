package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"tenantry/internal/problem"
)

// The limits for a slow or hostile provider (ASVS 13.2.4, 15.3.2).
const (
	// patience bounds all calls of one request to a provider.
	patience = 5 * time.Second
	// optionalPatience bounds the calls that a sign-in does not need.
	optionalPatience = 2 * time.Second
	// maxAnswer bounds a response, in bytes after decompression. Key sets of large providers have a
	// tenth of it.
	maxAnswer = 256 << 10
	// maxCalls is the number of concurrent calls to one provider.
	maxCalls = 32
	// maxProviderClients is how many providers are cached.
	maxProviderClients = 1000
	// failuresToRest is the number of consecutive failures after which a provider is not called for
	// the time rest.
	failuresToRest, rest = 5, 5 * time.Second
)

// providerClients are the clients of the providers that were called recently. Providers share only
// the dialer, so that the provider of one tenant cannot affect another tenant.
type providerClients struct {
	base *http.Transport
	all  *lru.Cache[string, *providerClient]
}

// newProviderClients returns clients that connect to public addresses and to those of the networks.
func newProviderClients(networks []netip.Prefix) (*providerClients, error) {
	var v4, v6 []netip.Prefix
	for _, n := range networks {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	// It checks the address that is dialled, so that a name that resolves to another address later
	// does not bypass it.
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	all, err := lru.New[string, *providerClient](maxProviderClients)
	return &providerClients{all: all, base: &http.Transport{
		// Without a proxy, which would connect in place of this process.
		DialContext:            (&net.Dialer{Timeout: patience, Control: guard.Safe}).DialContext,
		TLSHandshakeTimeout:    patience, // a dial continues after its request
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}}, err
}

// of returns the providerClient of a provider, from the cache.
func (p *providerClients) of(ref string) *providerClient {
	if known, ok := p.all.Get(ref); ok {
		return known
	}
	made := p.newProviderClient()
	made.optional = p.newProviderClient()
	if known, found, _ := p.all.PeekOrAdd(ref, made); found {
		return known
	}
	return made
}

func (p *providerClients) newProviderClient() *providerClient {
	made := &providerClient{
		base: p.base, calls: semaphore.NewWeighted(maxCalls), metadata: newCachedFetch[metadata](metadataStaleFor),
		keys: newCachedFetch[[]jose.JSONWebKey](0),
	}
	settings := gobreaker.Settings{
		Timeout:     rest,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failuresToRest },
		// A browser that disconnects is not a failure of the provider.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	}
	made.breaker = gobreaker.NewCircuitBreaker[*http.Response](settings) //nolint:bodyclose // none is open yet
	return made
}

// providerClient is the guarded HTTP client of a provider, and caches its metadata and keys.
type providerClient struct {
	base    http.RoundTripper
	calls   *semaphore.Weighted
	breaker *gobreaker.CircuitBreaker[*http.Response]

	metadata *cachedFetch[metadata]
	keys     *cachedFetch[[]jose.JSONWebKey]

	// optional makes the calls that a sign-in does not need. It has its own breaker and permits, so
	// that a stalled userinfo endpoint does not block the token endpoint.
	optional *providerClient
}

// client returns a client that follows no redirect (ASVS 15.3.2): the host of a response is part of
// the provider's identity.
func (p *providerClient) client() *http.Client {
	return &http.Client{Transport: p, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// RoundTrip calls the provider and reads the whole response within the deadline.
func (p *providerClient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := trace.SpanFromContext(r.Context()).TracerProvider().Tracer("tenantry/internal/oauth").
		Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(semconv.HTTPRequestMethodKey.String(r.Method),
				semconv.ServerAddress(r.URL.Hostname())))
	defer span.End()
	if err := p.calls.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer p.calls.Release(1)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	r = r.WithContext(ctx)
	response, err := p.breaker.Execute(func() (*http.Response, error) {
		response, err := p.base.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close() //nolint:errcheck // it is read, or given up
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
		if err != nil {
			return nil, fmt.Errorf("read the answer of %s: %w", r.URL.Host, err)
		}
		if len(body) > maxAnswer {
			return nil, fmt.Errorf("the answer of %s is longer than %d bytes", r.URL.Host, maxAnswer)
		}
		span.SetAttributes(semconv.HTTPResponseStatusCode(response.StatusCode))
		response.Body = io.NopCloser(bytes.NewReader(body))
		return response, nil
	})
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	return response, err
}

// failed returns the problem of a provider that cannot be reached or sends an invalid response: 504
// if it was too slow, else 502. The cause is kept as text, so that an unreachable provider is not
// reported as an outage of the database.
func failed(doing string, err error) error {
	words := strings.ToValidUTF8(err.Error(), "")
	cause := fmt.Errorf("%s: %s", doing, words[:min(len(words), 500)])
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) ||
		(ok && timeout.Timeout()) {
		p := &problem.Problem{Status: http.StatusGatewayTimeout, Code: "provider_timeout",
			Detail: "The provider does not answer in time."}
		return p.Because(cause)
	}
	p := &problem.Problem{Status: http.StatusBadGateway, Code: "provider_failed",
		Detail: "The provider does not answer as it should."}
	return p.Because(cause)
}
