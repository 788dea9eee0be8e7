package httpapi

import "context"

// NextLink returns the Link header of the next page of a list (RFC 8288).
func NextLink(ctx context.Context, cursor string) string {
	req, ok := requestFrom(ctx)
	if !ok {
		return ""
	}
	query := req.http.URL.Query()
	query.Set("cursor", cursor)
	return "<" + req.publicPath + req.http.URL.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
}
