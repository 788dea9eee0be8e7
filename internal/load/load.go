package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Options select the server and the requests.
type Options struct {
	// URL is the URL of the server, without path. An empty Tenant is the server's default.
	URL, Tenant, Email, Password string
	// Scenario is a name of Scenarios.
	Scenario string
	// Requests is the number of requests. In an open loop it follows from Rate and Duration.
	Requests int
	// Concurrency is the number of clients, each with its own session.
	Concurrency int
	// Rate is the number of requests per second, sent for Duration; 0 is a closed loop.
	Rate     int
	Duration time.Duration
	// Progress, if not nil, is called after each request.
	Progress func()
}

// maxInFlight bounds the running requests of an open loop; further requests fail.
const maxInFlight = 10_000

// Check validates the options and sets Requests of an open loop.
func (o *Options) Check() error {
	if _, ok := scenarios[o.Scenario]; !ok {
		return fmt.Errorf("unknown scenario %q: use one of %v", o.Scenario, Scenarios())
	}
	if o.Concurrency < 1 || o.Rate < 0 {
		return errors.New("the concurrency must be at least 1, and the rate at least 0")
	}
	if o.Rate > 0 {
		o.Requests = int(float64(o.Rate) * o.Duration.Seconds())
	}
	if o.Requests < 1 {
		return errors.New("there must be at least one request")
	}
	return nil
}

// Run signs the clients in and sends the requests. When ctx is done, it returns a report of the
// requests so far.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if err := opts.Check(); err != nil {
		return nil, err
	}
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConns: opts.Concurrency + maxInFlight, MaxIdleConnsPerHost: max(opts.Concurrency, 256),
		IdleConnTimeout: time.Minute,
	}}
	defer web.CloseIdleConnections()
	clients := make([]*client, opts.Concurrency)
	for n := range clients {
		clients[n] = &client{web: web, opts: opts, n: n}
		if err := clients[n].signIn(ctx); err != nil {
			return nil, fmt.Errorf("sign in: %w", err)
		}
	}
	r := &recorder{progress: opts.Progress, took: make([]time.Duration, 0, opts.Requests), failures: map[string]int{}}
	began := time.Now()
	if opts.Rate > 0 {
		open(ctx, opts, clients, r)
	} else {
		closed(ctx, opts, clients, r)
	}
	return r.report(opts, time.Since(began)), nil
}

// closed sends the next request of each client after the response to the previous one.
func closed(ctx context.Context, opts Options, clients []*client, r *recorder) {
	numbers := make(chan int, opts.Requests)
	for n := range opts.Requests {
		numbers <- n
	}
	close(numbers)
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for n := range numbers {
				if ctx.Err() != nil {
					return
				}
				sent := time.Now()
				r.record(scenarios[opts.Scenario](ctx, c, n), time.Since(sent))
			}
		})
	}
	all.Wait()
}

// open sends each request when it is due, and measures its time from then, so that the wait of
// requests behind a slow one is included.
func open(ctx context.Context, opts Options, clients []*client, r *recorder) {
	inFlight := make(chan struct{}, maxInFlight)
	var all sync.WaitGroup
	began := time.Now()
	for n := range opts.Requests {
		due := began.Add(time.Duration(float64(n) / float64(opts.Rate) * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case inFlight <- struct{}{}:
		default:
			r.record(errors.New("too many requests in flight"), time.Since(due))
			continue
		}
		all.Go(func() {
			defer func() { <-inFlight }()
			r.record(scenarios[opts.Scenario](ctx, clients[n%len(clients)], n), time.Since(due))
		})
	}
	all.Wait()
}
