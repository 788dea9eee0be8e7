package signing

import (
	"context"
	"fmt"

	"tenantry/internal/api"
)

// HTTP serves the operations of this package.
type HTTP struct{ *Keys }

// GetJWKS answers GET /.well-known/jwks.json.
func (h HTTP) GetJWKS(context.Context, api.GetJWKSRequestObject) (api.GetJWKSResponseObject, error) {
	set, err := h.JWKS()
	if err != nil {
		return nil, err
	}
	cache := fmt.Sprintf("public, max-age=%d", int(h.MaxAge().Seconds()))
	return api.GetJWKS200JSONResponse{Body: set, Headers: api.GetJWKS200ResponseHeaders{CacheControl: cache}}, nil
}
