package database

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// traced begins the span of a statement, below that of who asks, which must have one that is kept. The statement is told as it is
// prepared: values have placeholders. It ends when the database answers, which for many rows is the first.
func (p *pool) traced(ctx context.Context, query string) (context.Context, trace.Span) {
	asking := trace.SpanFromContext(ctx)
	if !asking.IsRecording() {
		return ctx, asking // whose end means nothing
	}
	operation, _, _ := strings.Cut(query, " ")
	return asking.TracerProvider().Tracer("tenantry/internal/database").Start(ctx, operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(p.system, semconv.DBOperationName(operation), semconv.DBQueryText(query)))
}

// endSpan ends the span of a statement. What went wrong is in the log, since it may name values.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
