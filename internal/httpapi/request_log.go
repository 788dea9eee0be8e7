package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
)

// requestLog writes one line a request, with who acted and what it cost. The path is logged without its query, which may
// carry what should not be kept.
func (r *router) requestLog(c *gin.Context) {
	start := time.Now()
	ctx, statements := r.CountStatements(c.Request.Context())
	ctx, trail := principal.WithTrail(ctx)
	c.Request = c.Request.WithContext(ctx)
	if r.ServerTiming {
		c.Writer = &timingWriter{ResponseWriter: c.Writer, statements: statements}
	}
	finished := false
	defer func() {
		status := c.Writer.Status()
		if !finished {
			status = http.StatusInternalServerError // a panic is under way to the step before
		}
		n, sql := statements()
		if r.Observe != nil {
			operation := "none"
			if o := r.operation(c); o != nil {
				operation = o.id
			}
			r.Observe(operation, status, time.Since(start), n)
		}
		attrs := append(make([]slog.Attr, 0, 12),
			slog.String("request_id", c.GetString(requestIDKey)),
			slog.String("method", c.Request.Method),
			slog.String("path", c.Request.URL.Path),
			slog.Int("status", status),
			slog.Float64("duration_ms", milliseconds(time.Since(start))),
			slog.Int("bytes", max(0, c.Writer.Size())),
			slog.String("ip", c.ClientIP()),
			slog.Int64("statements", n),
			slog.Float64("sql_ms", milliseconds(sql)),
		)
		if p, ok := principal.FromContext(ctx); ok {
			attrs = append(attrs, slog.String("tenant_id", p.TenantID.String()), slog.String("user_id", p.UserID.String()))
		}
		if reasons := trail.Reasons(); len(reasons) > 0 {
			attrs = append(attrs, slog.Any("system", reasons))
		}
		r.Log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
	}()
	c.Next()
	finished = true
}

// milliseconds has the resolution of a microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
