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

// referenceFiles are what the page at /docs consists of, and where each comes from.
var referenceFiles = map[string]fs.FS{
	"reference/index.html": reference, "reference/reference.js": reference,
	"swagger-ui.css": swagger.FS, "swagger-ui-bundle.js": swagger.FS,
}

// serveReference serves the contract at /openapi.json and a page to read and try it at /docs.
// Everything comes from the binary, so the page works without a network.
//
// Links of the page are relative, and the server of the contract is the public URL's path, so that
// both work where the API is served under a path. GET / leads to the page.
func serveReference(router gin.IRouter, contract *openapi3.T, publicPath string) error {
	published, info := *contract, *contract.Info
	info.Version = Version()
	published.Info, published.Servers = &info, openapi3.Servers{{URL: cmp.Or(publicPath, "/")}}
	document, err := json.Marshal(&published)
	if err != nil {
		return fmt.Errorf("encode the contract: %w", err)
	}
	readable := []string{http.MethodGet, http.MethodHead}
	router.Match(readable, "/", func(c *gin.Context) { c.Redirect(http.StatusFound, publicPath+"/docs") })
	router.Match(readable, "/openapi.json", func(c *gin.Context) {
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
		router.Match(readable, route, func(c *gin.Context) {
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
