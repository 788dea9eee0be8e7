package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Options say what is asked of which server.
type Options struct {
	// URL is that of the server, without path. Tenant may be empty, for the server's default.
	URL, Tenant, Email, Password string
	// Scenario is a name of Scenarios.
	Scenario string
	// Requests is how many there are in all. In an open loop it follows from Rate and Duration.
	Requests int
	// Concurrency is how many clients there are, each with a session of its own.
	Concurrency int
	// Rate is how many requests arrive in a second; 0 is a closed loop. Duration is for how long
	// they do.
	Rate     int
	Duration time.Duration
	// Progress, if it is there, is told of each answer.
	Progress func()
}

// maxUnderWay is how many requests of an open loop may be under way; those beyond it have failed.
const maxUnderWay = 10_000

// Check says what is wrong with the options, and completes them.
func (o *Options) Check() error {
	if _, ok := scenarios[o.Scenario]; !ok {
		return fmt.Errorf("there is no scenario %q: there are %v", o.Scenario, Scenarios())
	}
	if o.Concurrency < 1 || o.Rate < 0 {
		return errors.New("the concurrency must be at least 1, and the rate not below 0")
	}
	if o.Rate > 0 {
		o.Requests = int(float64(o.Rate) * o.Duration.Seconds())
	}
	if o.Requests < 1 {
		return errors.New("there must be at least one request")
	}
	return nil
}

// Run signs the clients in and makes the requests. It ends early, with what there is, when ctx
// does.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if err := opts.Check(); err != nil {
		return nil, err
	}
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConns: opts.Concurrency + maxUnderWay, MaxIdleConnsPerHost: max(opts.Concurrency, 256),
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

// closed lets each client make its next request when the one before is answered.
func closed(ctx context.Context, opts Options, clients []*client, r *recorder) {
	turns := make(chan int, opts.Requests)
	for n := range opts.Requests {
		turns <- n
	}
	close(turns)
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for n := range turns {
				if ctx.Err() != nil {
					return
				}
				begun := time.Now()
				r.record(scenarios[opts.Scenario](ctx, c, n), time.Since(begun))
			}
		})
	}
	all.Wait()
}

// open makes requests when it is their time. How long one takes is counted from then on, so that
// who waits for its turn behind a slow one is not left out.
func open(ctx context.Context, opts Options, clients []*client, r *recorder) {
	underWay := make(chan struct{}, maxUnderWay)
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
		case underWay <- struct{}{}:
		default:
			r.record(errors.New("too many under way"), time.Since(due))
			continue
		}
		all.Go(func() {
			defer func() { <-underWay }()
			r.record(scenarios[opts.Scenario](ctx, clients[n%len(clients)], n), time.Since(due))
		})
	}
	all.Wait()
}
