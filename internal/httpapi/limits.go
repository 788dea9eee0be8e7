package httpapi

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	// deadline bounds the work on one request.
	deadline = 15 * time.Second
	// maxBody bounds a body, in bytes, with or without a declared length.
	maxBody = 64 << 10
)

// limits gives the request a deadline and its body an end.
func (r *router) limits(c *gin.Context) {
	v := visitOf(c)
	v.limited.Context, v.limited.deadline = v.Context, v.began.Add(deadline)
	defer v.limited.end()
	v.Context = &v.limited
	if c.Request.Body != http.NoBody {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
	c.Next()
}

// Within returns a context that ends after a time, with the request, or when it is cancelled. One of package context looks at its parent
// once more after its time has run out, when gin may have given that to the next request.
func Within(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(wait)
	if of, ok := ctx.Deadline(); ok && of.Before(end) {
		end = of
	}
	within, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	stop := context.AfterFunc(ctx, cancel)
	return within, func() { stop(); cancel() }
}

// Detached returns a context that ends after a time, and not with the request, for what must be finished when the client has left. The
// handler must not return before it is cancelled.
func Detached(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), wait)
}

// timed is a context with a deadline, whose timer is started by the first who waits for it: most requests are answered without waiting.
type timed struct {
	context.Context
	deadline time.Time

	once    sync.Once
	running atomic.Pointer[timer]
	ended   atomic.Bool
}

type timer struct {
	context.Context
	cancel context.CancelFunc
}

// Deadline returns the end of the time.
func (t *timed) Deadline() (time.Time, bool) { return t.deadline, true }

// Done is closed at the end of the time or of the request.
func (t *timed) Done() <-chan struct{} {
	if running := t.started(); running != nil {
		return running.Done()
	}
	return over
}

// Err says which of them it was. Who asks does not wait.
func (t *timed) Err() error {
	switch running := t.running.Load(); {
	case running != nil:
		return running.Err()
	case t.ended.Load():
		return context.Canceled
	case !time.Now().Before(t.deadline):
		return context.DeadlineExceeded
	default:
		return t.Context.Err()
	}
}

// Value asks the timer, once it runs, since package context looks there for whom to tell of the end. Otherwise it would have a goroutine
// wait, which the request would not outlive.
func (t *timed) Value(key any) any {
	if running := t.running.Load(); running != nil {
		return running.Value(key)
	}
	return t.Context.Value(key)
}

// started returns the timer, nil if the request has ended without one.
func (t *timed) started() *timer {
	t.once.Do(func() {
		ctx, cancel := context.WithDeadline(t.Context, t.deadline)
		t.running.Store(&timer{ctx, cancel})
	})
	return t.running.Load()
}

// end stops the timer. Who begins to wait after it need not.
func (t *timed) end() {
	t.once.Do(func() { t.ended.Store(true) })
	if running := t.running.Load(); running != nil {
		running.cancel()
	}
}

// over is what is closed from the beginning.
var over = func() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()
