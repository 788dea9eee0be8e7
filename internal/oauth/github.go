package oauth

import (
	"context"

	"tenantry/internal/auth"
)

// gitHubAddresses names the missing permission if GitHub refuses the addresses of a user.
const gitHubAddresses = `read the addresses of the user (a GitHub App needs the account permission ` +
	`"Email addresses: Read-only", an OAuth App the scope user:email)`

// addGitHubAddress adds the primary address of a user of GitHub to their identity. The public one
// of the profile is never used.
func (u *upstream) addGitHubAddress(ctx context.Context, m metadata, g grant, is *identity) {
	ctx, cancel := context.WithTimeout(ctx, optionalPatience)
	defer cancel()
	var addresses []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	if err := getJSON(ctx, u.providerClient.optional.client(), m.Userinfo+"/emails", g.AccessToken,
		&addresses); err != nil {
		is.unread = addressUnread(gitHubAddresses, err)
		return
	}
	for _, a := range addresses {
		if a.Primary {
			var err error
			if is.Email, err = auth.CanonicalEmail(a.Email); err == nil {
				is.Verified = a.Verified
			}
		}
	}
}
