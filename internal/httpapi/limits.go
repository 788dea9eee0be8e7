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

// limits sets the deadline of the request and the size limit of its body.
func (r *router) limits(c *gin.Context) {
	req := requestOf(c)
	req.limited.Context, req.limited.deadline = req.Context, req.began.Add(deadline)
	defer req.limited.stop()
	req.Context = &req.limited
	if c.Request.Body != http.NoBody {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
	c.Next()
}

// Within returns a context that ends after wait, with the request, or when it is cancelled. A
// context of package context reads its parent again after its deadline, when gin may have reused
// the parent for the next request.
func Within(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	deadline := time.Now().Add(wait)
	if parent, ok := ctx.Deadline(); ok && parent.Before(deadline) {
		deadline = parent
	}
	within, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	stop := context.AfterFunc(ctx, cancel)
	return within, func() { stop(); cancel() }
}

// Detached returns a context that ends after wait and not with the request, for work that must
// finish even if the client disconnects. The handler must cancel it before it returns.
func Detached(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), wait)
}

// lazyDeadline is a context with a deadline. The first call of Done starts its timer: most requests
// need none.
type lazyDeadline struct {
	context.Context
	deadline time.Time

	once    sync.Once
	running atomic.Pointer[timer]
	stopped atomic.Bool
}

type timer struct {
	context.Context
	cancel context.CancelFunc
}

// Deadline returns the deadline.
func (t *lazyDeadline) Deadline() (time.Time, bool) { return t.deadline, true }

// Done returns a channel that is closed at the deadline or at the end of the request.
func (t *lazyDeadline) Done() <-chan struct{} {
	if running := t.started(); running != nil {
		return running.Done()
	}
	return closed
}

// Err returns why the context has ended, nil if it has not. It does not start the timer.
func (t *lazyDeadline) Err() error {
	switch running := t.running.Load(); {
	case running != nil:
		return running.Err()
	case t.stopped.Load():
		return context.Canceled
	case !time.Now().Before(t.deadline):
		return context.DeadlineExceeded
	default:
		return t.Context.Err()
	}
}

// Value reads from the timer's context once it runs, which lets package context attach children
// without a goroutine. Such a goroutine would use the context after gin has reused it.
func (t *lazyDeadline) Value(key any) any {
	if running := t.running.Load(); running != nil {
		return running.Value(key)
	}
	return t.Context.Value(key)
}

// started starts the timer once and returns it, nil if the request ended before.
func (t *lazyDeadline) started() *timer {
	t.once.Do(func() {
		ctx, cancel := context.WithDeadline(t.Context, t.deadline)
		t.running.Store(&timer{ctx, cancel})
	})
	return t.running.Load()
}

// stop cancels the timer. A later call of Done returns a closed channel.
func (t *lazyDeadline) stop() {
	t.once.Do(func() { t.stopped.Store(true) })
	if running := t.running.Load(); running != nil {
		running.cancel()
	}
}

// closed is a closed channel.
var closed = func() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()
