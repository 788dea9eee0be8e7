package server

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	swagger "github.com/swaggo/files/v2"
)

//go:embed reference
var reference embed.FS

// referenceFiles are the files of the page at /docs, with their file systems.
var referenceFiles = map[string]fs.FS{
	"reference/index.html": reference, "reference/reference.js": reference,
	"swagger-ui.css": swagger.FS, "swagger-ui-bundle.js": swagger.FS,
}

// serveReference serves the contract at /openapi.json and the API reference at /docs, to which GET
// / redirects. All files are embedded, so that the page works without a network. Its links are
// relative, and the server of the contract is the path of the public URL, so that both work under a
// path prefix.
func serveReference(router gin.IRouter, contract *openapi3.T, publicPath string) error {
	published, info := *contract, *contract.Info
	info.Version = Version()
	published.Info, published.Servers = &info, openapi3.Servers{{URL: cmp.Or(publicPath, "/")}}
	document, err := json.Marshal(&published)
	if err != nil {
		return fmt.Errorf("encode the contract: %w", err)
	}
	methods := []string{http.MethodGet, http.MethodHead}
	router.Match(methods, "/", func(c *gin.Context) { c.Redirect(http.StatusFound, publicPath+"/docs") })
	router.Match(methods, "/openapi.json", func(c *gin.Context) {
		c.Header("Cache-Control", "public, max-age=300")
		c.Data(http.StatusOK, "application/json", document)
	})
	for name, files := range referenceFiles {
		info, err := fs.Stat(files, name)
		if err != nil {
			return fmt.Errorf("read the API reference: %w", err)
		}
		route, media := "/docs/"+path.Base(name), map[string]string{
			".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
			".css": "text/css; charset=utf-8",
		}[path.Ext(name)]
		if path.Base(name) == "index.html" {
			route = "/docs"
		}
		router.Match(methods, route, func(c *gin.Context) {
			c.Header("Cache-Control", "public, max-age=300")
			c.Header("Content-Security-Policy",
				"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "+
					"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'")
			file, err := files.Open(name)
			if err != nil {
				_ = c.AbortWithError(http.StatusInternalServerError, err)
				return
			}
			defer func() { _ = file.Close() }()
			c.DataFromReader(http.StatusOK, info.Size(), media, file, nil)
		})
	}
	return nil
}
