package httpapi

import (
	"bytes"
	"html/template"
	"mime"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// RedirectError is an error that is answered with a redirect to an application. Its cause is logged
// like that of any other error.
type RedirectError struct {
	Err error
	// To returns the URL, with the part of the problem that the application may know.
	To func(*problem.Problem) string
}

// Error returns the text of Err.
func (e *RedirectError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RedirectError) Unwrap() error { return e.Err }

// errorPage shows a problem to a person. It has no script, style or image, so that the
// Content-Security-Policy can forbid them all.
var errorPage = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The sign-in has failed</title></head>
<body>
<h1>The sign-in has failed</h1>
<p>{{.Problem.Detail}}</p>
{{- range .Problem.Fields}}
<p><code>{{.Parameter}}{{.Pointer}}</code> {{.Detail}}</p>
{{- end}}
<p>Go back to the application and begin again.</p>
<p><small>Error <code>{{.Problem.Code}}</code>, request <code>{{.RequestID}}</code></small></p>
</body>
</html>
`))

// writeErrorPage writes a page for browsers that shows the problem.
func writeErrorPage(c *gin.Context, p *problem.Problem) error {
	var page bytes.Buffer
	if err := errorPage.Execute(&page, struct {
		Problem   *problem.Problem
		RequestID string
	}{p, requestOf(c).id}); err != nil {
		return err
	}
	c.Data(p.Status, mediaHTML+"; charset=utf-8", page.Bytes())
	return nil
}

// prefersHTML reports whether an Accept header names HTML with at least the quality of JSON
// (RFC 9110 §12.5.1), as those of browsers do.
func prefersHTML(accept string) bool {
	html, json := 0.0, 0.0
	for _, part := range strings.Split(accept, ",") {
		media, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, ok := parameters["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch media {
		case "text/html", "application/xhtml+xml":
			html = max(html, quality)
		case "application/json", "application/problem+json":
			json = max(json, quality)
		}
	}
	return html > 0 && html >= json
}
