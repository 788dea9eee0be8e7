package httpapi

import (
	"context"
	"net/http"
	"sync"
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
	limited := &timed{Context: v.Context, deadline: time.Now().Add(deadline)}
	defer limited.end()
	v.Context = limited
	if c.Request.Body != http.NoBody {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
	c.Next()
}

// timed is a context with a deadline, whose timer is started by the first who waits for it: most requests are answered without waiting.
type timed struct {
	context.Context
	deadline time.Time

	once   sync.Once
	timer  context.Context
	cancel context.CancelFunc
}

// Deadline returns the end of the time.
func (t *timed) Deadline() (time.Time, bool) { return t.deadline, true }

// Done is closed at the end of the time or of the request.
func (t *timed) Done() <-chan struct{} { return t.started().Done() }

// Err says which of them it was.
func (t *timed) Err() error { return t.started().Err() }

func (t *timed) started() context.Context {
	t.once.Do(func() { t.timer, t.cancel = context.WithDeadline(t.Context, t.deadline) })
	return t.timer
}

// end stops the timer. Who begins to wait after it need not.
func (t *timed) end() {
	t.once.Do(func() { t.timer, t.cancel = ended, func() {} })
	t.cancel()
}

// ended is the context of what is over.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
