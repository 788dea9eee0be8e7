// Package api is the HTTP contract, openapi.yaml, and what oapi-codegen makes of it: routes, request and response types,
// and the interface that the features implement. Nothing here is written twice: whoever wants to know what an operation
// takes, answers or demands reads the contract.
package api

import (
	_ "embed"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:generate go tool -modfile=../tools/oapi-codegen.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml

//go:embed openapi.yaml
var contract []byte

// Contract returns the parsed and validated OpenAPI document.
func Contract() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	return doc, nil
}
