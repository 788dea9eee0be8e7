// Package api is the HTTP contract, openapi.yaml, and what oapi-codegen makes of it: routes,
// request and response types, and the interface that the features implement. Parameters are read by
// a template of ours, gin-wrappers.tmpl. Nothing here is written twice: whoever wants to know what
// an operation takes, answers or demands reads the contract.
package api
