package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"tenantry/internal/config"
)

const (
	// flushTimeout is how long the export of the last spans may take when the server stops.
	flushTimeout = 2 * time.Second
	// warnEvery is the shortest interval between two warnings of lost spans.
	warnEvery = time.Minute
	// exportTimeout is how long a collector may take to respond.
	exportTimeout = 10 * time.Second
)

// OpenTraces returns the tracer of a configuration, nil if no collector is configured, and a
// function that exports the last spans. If the collector is slow or unreachable, spans are lost;
// requests are not affected.
func OpenTraces(ctx context.Context, cfg config.Config, log *slog.Logger) (tracer trace.Tracer, stop func(),
	err error) {
	if cfg.OTLPEndpoint == "" {
		return nil, func() {}, nil
	}
	address, err := url.JoinPath(cfg.OTLPEndpoint, "v1/traces")
	if err != nil {
		return nil, nil, fmt.Errorf("build the traces URL of %s: %w", cfg.OTLPEndpoint, err)
	}
	// A redirect would send the credentials in the headers to another server.
	client := &http.Client{Timeout: exportTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address),
		otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, nil, fmt.Errorf("open traces: %w", err)
	}
	source, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("tenantry")), resource.WithFromEnv(),
		resource.WithHost())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, nil, fmt.Errorf("describe this process in traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&reporting{SpanExporter: exporter, log: log}), sdktrace.WithResource(source),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.OTLPSample))),
	)
	log.InfoContext(ctx, "tracing", "to", address, "sample", cfg.OTLPSample)
	return provider.Tracer("tenantry/internal/httpapi"), func() {
		// ctx is done when the server stops.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ending); err != nil {
			log.WarnContext(ending, "the last spans were lost", "error", err)
		}
	}, nil
}

// reporting exports spans and logs lost ones, at most once in warnEvery.
type reporting struct {
	sdktrace.SpanExporter
	log *slog.Logger
	// warnedAt is when the last warning was logged. Batches are exported one after the other.
	warnedAt time.Time
}

// ExportSpans exports a batch. If the export fails, its spans are lost.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err != nil && time.Since(r.warnedAt) > warnEvery {
		r.warnedAt = time.Now()
		r.log.WarnContext(ctx, "spans were lost", "spans", len(spans), "error", err)
	}
	return nil
}
