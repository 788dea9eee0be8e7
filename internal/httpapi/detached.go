package httpapi

import (
	"context"
	"time"
)

// Detached returns a context that ends after wait and not with the request, for work that must
// finish even if the client disconnects. The handler must cancel it before it returns.
func Detached(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), wait)
}
