package faults_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load is clients at work. What they must never see fails the test: no answer, an outage that does
// not say when to come back, or any other failure.
type load struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	counts *tally
	wait   sync.WaitGroup

	mu    sync.Mutex
	steps []*step
}

// step is what one client does again and again.
type step struct{ succeeded, failed time.Time }

func startLoad(t *testing.T, counts *tally) *load {
	l := &load{t: t, counts: counts}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	t.Cleanup(l.stop)
	return l
}

// repeat does something, with short pauses, until the load is stopped.
func (l *load) repeat(operation string, do func(context.Context) (answer, error)) {
	s := &step{}
	l.mu.Lock()
	l.steps = append(l.steps, s)
	l.mu.Unlock()
	l.wait.Go(func() {
		for l.ctx.Err() == nil {
			// Not under the context of the load: what has begun is finished.
			a, err := do(context.WithoutCancel(l.ctx))
			l.counts.note(operation, a, err)
			l.judge(operation, a, err)
			l.mu.Lock()
			if err == nil && succeeded(a.status) {
				s.succeeded = time.Now()
			} else {
				s.failed = time.Now()
			}
			l.mu.Unlock()
			time.Sleep(pause)
		}
	})
}

// pause is what each client does nothing for between two requests: it is their number that counts,
// and not how many of them wait for a processor.
const pause = 5 * time.Millisecond

func (l *load) judge(operation string, a answer, err error) {
	switch {
	case err != nil:
		l.t.Errorf("%s: %v", operation, err)
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
	case failed(a.status):
		l.t.Errorf("%s: status %d %s, Retry-After %q", operation, a.status, a.Code, a.header.Get("Retry-After"))
	}
}

// healthySince reports whether every client has succeeded since, with what it did last.
func (l *load) healthySince(since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.steps {
		if s.succeeded.Before(since) || s.failed.After(s.succeeded) {
			return false
		}
	}
	return true
}

// stop waits for the clients to finish.
func (l *load) stop() {
	l.cancel()
	l.wait.Wait()
}
