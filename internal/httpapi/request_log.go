package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"tenantry/internal/principal"
)

// requestLog writes one line a request, with who acted and what it cost. The path is logged without its query, which may
// carry what should not be kept.
func (r *router) requestLog(c *gin.Context) {
	v := visitOf(c)
	ctx, statements := r.CountStatements(v.Context)
	ctx, trail := principal.WithTrail(ctx)
	v.Context = ctx
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
		now := time.Now()
		if r.Observe != nil {
			operation := "none"
			if v.operation != nil {
				operation = v.operation.id
			}
			r.Observe(operation, status, now.Sub(v.began), n)
		}
		if !r.Log.Enabled(ctx, slog.LevelInfo) {
			return
		}
		l := line{
			{name: "request_id", text: v.id[0]}, {name: "method", text: c.Request.Method}, {name: "path", text: c.Request.URL.Path},
			amount("status", int64(status)), amount("duration_us", now.Sub(v.began).Microseconds()),
			amount("bytes", int64(max(0, c.Writer.Size()))), {name: "ip", text: r.peer(c)},
			amount("statements", n), amount("sql_us", sql.Microseconds()),
		}
		if p, ok := principal.FromContext(ctx); ok {
			l[9], l[10] = field{name: "tenant_id", id: p.TenantID}, field{name: "user_id", id: p.UserID}
		}
		if r.Tracer != nil {
			if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
				l[11] = field{name: "trace_id", text: span.TraceID().String()}
			}
		}
		// There is nowhere to say that nothing can be said.
		if r.Lines == nil {
			_ = l.log(ctx, r.Log, now, trail.Reasons())
		} else {
			_ = l.write(r.Lines, now, trail.Reasons())
		}
	}()
	c.Next()
	finished = true
}

// peer is the address that a request came from. Where no proxy is trusted that is the socket's, which needs no reading.
func (r *router) peer(c *gin.Context) string {
	if len(r.TrustedProxies) == 0 {
		return c.RemoteIP()
	}
	return c.ClientIP()
}

// line is what is logged of a request.
type line [12]field

// field is an id, a text or a number.
type field struct {
	name, text string
	count      int64
	id         uuid.UUID
}

// counted is the text of a field that is a number.
const counted = "\x00"

func amount(name string, n int64) field { return field{name: name, text: counted, count: n} }

// log writes the line by way of the logger.
func (l *line) log(ctx context.Context, log *slog.Logger, now time.Time, reasons []string) error {
	record := slog.NewRecord(now, slog.LevelInfo, "request", 0)
	for _, f := range l {
		switch {
		case f.name == "":
		case f.id != uuid.Nil:
			record.AddAttrs(slog.String(f.name, f.id.String()))
		case f.text == counted:
			record.AddAttrs(slog.Int64(f.name, f.count))
		default:
			record.AddAttrs(slog.String(f.name, f.text))
		}
	}
	if len(reasons) > 0 {
		record.AddAttrs(slog.Any("system", reasons))
	}
	return log.Handler().Handle(ctx, record)
}

// space is where lines are put together.
var space = sync.Pool{New: func() any { return new([]byte) }}

// write writes the line as slog would, in a fifth of the time.
func (l *line) write(out io.Writer, now time.Time, reasons []string) error {
	buffer := space.Get().(*[]byte) //nolint:forcetypeassert // there is nothing else in it
	defer space.Put(buffer)
	*buffer = l.json((*buffer)[:0], now, reasons)
	_, err := out.Write(*buffer)
	return err
}

func (l *line) json(to []byte, now time.Time, reasons []string) []byte {
	to = append(to, `{"time":"`...)
	to = now.AppendFormat(to, time.RFC3339Nano)
	to = append(to, `","level":"INFO","msg":"request"`...)
	for _, f := range l {
		if f.name == "" {
			continue
		}
		to = append(append(append(to, `,"`...), f.name...), `":`...)
		switch {
		case f.id != uuid.Nil:
			text, _ := f.id.MarshalText() // an id can always be written
			to = append(append(append(to, '"'), text...), '"')
		case f.text == counted:
			to = strconv.AppendInt(to, f.count, 10)
		default:
			to = appendText(to, f.text)
		}
	}
	for i, reason := range reasons {
		if i == 0 {
			to = append(to, `,"system":[`...)
		} else {
			to = append(to, ',')
		}
		to = appendText(to, reason)
	}
	if len(reasons) > 0 {
		to = append(to, ']')
	}
	return append(to, "}\n"...)
}

// appendText appends a string of JSON.
func appendText(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string can always be written
			return append(to, quoted...)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}
