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
)

// trace creates a span of the request, as a child of the caller's span if the request names one
// (W3C Trace Context). The span contains no client data except the matched method and route and a
// validated request ID. Probes have no span: they come every few seconds.
func (r *router) trace(c *gin.Context) {
	req := requestOf(c)
	if req.operation != nil && req.operation.probe {
		return
	}
	name, attributes := "HTTP", []attribute.KeyValue(nil)
	if req.operation != nil {
		name = c.Request.Method + " " + c.FullPath()
		attributes = []attribute.KeyValue{
			semconv.HTTPRequestMethodKey.String(c.Request.Method), semconv.HTTPRoute(c.FullPath()),
			attribute.String("tenantry.operation", req.operation.id),
		}
	}
	// Without tracestate: every span would repeat text from the client.
	carrier := propagation.MapCarrier{"traceparent": c.GetHeader("traceparent")}
	parent := propagation.TraceContext{}.Extract(c.Request.Context(), carrier)
	ctx, span := r.Tracer.Start(parent, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(req.began),
		trace.WithAttributes(attributes...))
	defer span.End()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
	status := c.Writer.Status()
	span.SetAttributes(semconv.HTTPResponseStatusCode(status), attribute.String("tenantry.request_id", req.id))
	tenant, user := req.identified()
	for name, id := range map[string]uuid.UUID{"tenantry.tenant_id": tenant, "tenantry.user_id": user} {
		if id != uuid.Nil {
			span.SetAttributes(attribute.String(name, id.String()))
		}
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
