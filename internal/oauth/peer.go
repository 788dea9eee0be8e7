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

// What a provider may cost, however slow or hostile it is (ASVS 13.2.4, 15.3.2).
const (
	// patience is for everything that one request asks of a provider.
	patience = 5 * time.Second
	// optionalPatience is how much of that is for what a sign-in can do without.
	optionalPatience = 2 * time.Second
	// maxAnswer is the longest answer that is read, in bytes, when it is unpacked. Key sets of
	// large providers have a tenth of it.
	maxAnswer = 256 << 10
	// maxCalls is how many calls to one provider are under way at once.
	maxCalls = 32
	// maxPeers is how many providers are cached.
	maxPeers = 1000
	// failuresToRest is how many calls fail one after the other before a provider is left alone,
	// and rest for how long.
	failuresToRest, rest = 5, 5 * time.Second
)

// peers are the providers that were called lately. What one tenant's provider does is no other's
// concern: nothing is shared between two of them but the dialer.
type peers struct {
	base *http.Transport
	all  *lru.Cache[string, *peer]
}

// newPeers returns peers that are called at public addresses, and at those of the networks.
func newPeers(networks []netip.Prefix) (*peers, error) {
	var v4, v6 []netip.Prefix
	for _, n := range networks {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	// It looks at the address that is dialed, so that a name which resolves to another one later is
	// of no use.
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	all, err := lru.New[string, *peer](maxPeers)
	return &peers{all: all, base: &http.Transport{
		// Without a proxy, which would dial in its own name.
		DialContext:            (&net.Dialer{Timeout: patience, Control: guard.Safe}).DialContext,
		TLSHandshakeTimeout:    patience, // a dial goes on without the request that asked for it
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}}, err
}

// of returns the peer of a provider, from the cache.
func (p *peers) of(ref string) *peer {
	if known, ok := p.all.Get(ref); ok {
		return known
	}
	made := p.newPeer()
	made.optional = p.newPeer()
	if known, found, _ := p.all.PeekOrAdd(ref, made); found {
		return known
	}
	return made
}

func (p *peers) newPeer() *peer {
	made := &peer{
		base: p.base, calls: semaphore.NewWeighted(maxCalls), metadata: newCachedFetch[metadata](metadataStaleFor),
		keys: newCachedFetch[[]jose.JSONWebKey](0),
	}
	settings := gobreaker.Settings{
		Timeout:     rest,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failuresToRest },
		// A browser that leaves in the middle says nothing of the provider.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	}
	made.breaker = gobreaker.NewCircuitBreaker[*http.Response](settings) //nolint:bodyclose // none is open yet
	return made
}

// peer calls a provider, and caches its metadata and keys.
type peer struct {
	base    http.RoundTripper
	calls   *semaphore.Weighted
	breaker *gobreaker.CircuitBreaker[*http.Response]

	metadata *cachedFetch[metadata]
	keys     *cachedFetch[[]jose.JSONWebKey]

	// optional calls what a sign-in can do without. It has a breaker and permits of its own, so
	// that a userinfo endpoint that stalls does not keep the token endpoint from being called.
	optional *peer
}

// client returns a client that follows no redirect (ASVS 15.3.2): where a provider answers is part
// of who it is.
func (p *peer) client() *http.Client {
	return &http.Client{Transport: p, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// RoundTrip calls the provider, and reads its answer while the time of the call runs.
func (p *peer) RoundTrip(r *http.Request) (*http.Response, error) {
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

// failed is the problem of a provider that cannot be reached, or answers with what is none: 504 if
// it was too slow, else 502. The cause is kept as words alone, since a provider that is away must
// not be taken for a database that is.
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
