package api_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/internal/api"
)

// each calls visit with every operation of the contract.
func each(t *testing.T, visit func(contract *openapi3.T, operation *openapi3.Operation)) {
	t.Helper()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range contract.Paths.InMatchingOrder() {
		for _, operation := range contract.Paths.Value(path).Operations() {
			visit(contract, operation)
		}
	}
}

func TestRequests_haveExamplesThatAreValid(t *testing.T) {
	t.Parallel()
	each(t, func(_ *openapi3.T, operation *openapi3.Operation) {
		if operation.RequestBody == nil {
			return
		}
		for kind, media := range operation.RequestBody.Value.Content {
			if media.Example == nil {
				t.Errorf("%s: %s has no example", operation.OperationID, kind)
			} else if err := media.Schema.Value.VisitJSON(media.Example); err != nil {
				t.Errorf("%s: %v", operation.OperationID, err)
			}
		}
	})
}

func TestTags_areDeclaredWithADescription(t *testing.T) {
	t.Parallel()
	each(t, func(contract *openapi3.T, operation *openapi3.Operation) {
		for _, name := range operation.Tags {
			if tag := contract.Tags.Get(name); tag == nil || tag.Description == "" {
				t.Errorf("%s: the tag %s has no description", operation.OperationID, name)
			}
		}
	})
}
