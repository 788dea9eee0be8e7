package database

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// startSpan starts the span of a statement as a child of the span of ctx, if that one is recorded.
// It contains the parameterised SQL, without values. It ends at the first row.
func (p *pool) startSpan(ctx context.Context, query string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, parent // End of a span that is not recorded has no effect
	}
	operation, _, _ := strings.Cut(query, " ")
	return parent.TracerProvider().Tracer("tenantry/internal/database").Start(ctx, operation,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(p.system, semconv.DBOperationName(operation), semconv.DBQueryText(query)))
}

// endSpan ends the span of a statement. The error is only logged, since it may contain values.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
