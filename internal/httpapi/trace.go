package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"tenantry/internal/principal"
)

// trace makes a span of the request, below the caller's if it names one (W3C Trace Context). Nothing of what a client sends is in it but the
// route and the method that were matched, and a request id that is harmless; probes have none, since they come every few seconds and say nothing.
func (r *router) trace(c *gin.Context) {
	v := visitOf(c)
	if v.operation != nil && v.operation.probe {
		return
	}
	name, attributes := "HTTP", []attribute.KeyValue(nil)
	if v.operation != nil {
		name = c.Request.Method + " " + c.FullPath()
		attributes = []attribute.KeyValue{
			semconv.HTTPRequestMethodKey.String(c.Request.Method), semconv.HTTPRoute(c.FullPath()), attribute.String("tenantry.operation", v.operation.id),
		}
	}
	// Without tracestate, which is text of a client's that every span would repeat.
	caller := propagation.MapCarrier{"traceparent": c.GetHeader("traceparent")}
	called := propagation.TraceContext{}.Extract(v.Context, caller)
	ctx, span := r.Tracer.Start(called, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(v.began), trace.WithAttributes(attributes...))
	defer span.End()
	v.Context = ctx
	c.Next()
	status := c.Writer.Status()
	span.SetAttributes(semconv.HTTPResponseStatusCode(status), attribute.String("tenantry.request_id", v.id[0]))
	tenant, user := v.trail.Identified()
	if p, ok := principal.FromContext(v.Context); ok {
		tenant, user = p.TenantID, p.UserID
	}
	for name, id := range map[string]uuid.UUID{"tenantry.tenant_id": tenant, "tenantry.user_id": user} {
		if id != uuid.Nil {
			span.SetAttributes(attribute.String(name, id.String()))
		}
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
