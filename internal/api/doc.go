// Package api is the HTTP contract, openapi.yaml, and the code that oapi-codegen generates from it:
// routes, request and response types, and the interface that the features implement.
// strict-gin.tmpl is oapi-codegen's own template, except that handlers receive the context of the
// request.
package api
