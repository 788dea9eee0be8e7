package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"tenantry/internal/problem"
)

// grant is the response of a token endpoint (RFC 6749 §5.1, OIDC Core §3.1.3.3). Members that no
// sign-in needs are not read: Azure AD B2C sends no access token, other servers send an expires_in
// that is not a number.
type grant struct{ AccessToken, IDToken string }

// refusedCodes are the errors of token endpoints that refuse a code: that of RFC 6749 §5.2,
// GitHub's and Slack's. The latter two come with the status 200.
var refusedCodes = []string{"invalid_grant", "bad_verification_code", "invalid_code"}

// exchange exchanges the code of a callback: 400 if the provider refuses the code, 502 and 504 for
// a provider that fails.
func (u *upstream) exchange(ctx context.Context, m metadata, code, redirectURI, verifier string) (grant, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI},
		"code_verifier": {verifier}}
	if m.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", u.ClientID)
		if u.ClientSecret != "" {
			form.Set("client_secret", u.ClientSecret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return grant{}, failed("exchange the code", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json") // GitHub answers with a form otherwise
	if m.AuthStyle == oauth2.AuthStyleInHeader {
		r.SetBasicAuth(url.QueryEscape(u.ClientID), url.QueryEscape(u.ClientSecret)) // RFC 6749 §2.3.1
	}
	response, err := u.providerClient.client().Do(r)
	if err != nil {
		return grant{}, failed("exchange the code", err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read whole by now
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return grant{}, failed("exchange the code", err)
	}
	said := grantClaims(response.Header.Get("Content-Type"), body)
	g := grant{AccessToken: said.text("access_token"), IDToken: said.text("id_token")}
	switch refusal := said.text("error"); {
	case slices.Contains(refusedCodes, refusal):
		return grant{}, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_grant",
			Detail: "The provider does not accept its code."}
	case response.StatusCode < 200 || response.StatusCode > 299 || said["error"] != nil || said == nil:
		return grant{}, failed("exchange the code", fmt.Errorf("%s answers %d with the error %.100q", r.URL.Host,
			response.StatusCode, refusal))
	case !u.openID() && g.AccessToken == "":
		return grant{}, failed("exchange the code", fmt.Errorf("%s answers without access_token", r.URL.Host))
	}
	return g, nil
}

// grantClaims reads the response of a token endpoint, which is JSON, or a form at servers older
// than RFC 6749. It is nil for every other response.
func grantClaims(contentType string, body []byte) (said claims) {
	if json.Unmarshal(body, &said) == nil {
		return said
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !strings.HasPrefix(contentType, "application/x-www-form-urlencoded") &&
		!strings.HasPrefix(contentType, "text/plain") {
		return nil
	}
	said = claims{}
	for name := range form {
		said[name], _ = json.Marshal(form.Get(name)) // a string can always be written
	}
	return said
}
