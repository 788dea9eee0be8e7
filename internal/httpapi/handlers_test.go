package httpapi

import (
	"context"
	"time"

	"tenantry/internal/api"
	"tenantry/internal/principal"
)

// handlers serve the operations that the tests call: each does what the test says, and answers with
// as little as the contract allows. An operation that is missing here is the nil interface, and a
// call of it a panic.
type handlers struct {
	*app
	api.StrictServerInterface
}

var user = api.User{ID: alice.UserID, TenantID: alice.TenantID, Email: "ada@acme.test",
	CreatedAt: time.Unix(0, 0).UTC(), UpdatedAt: time.Unix(0, 0).UTC()}

// publicCache is what an operation says whose answer may be kept.
const publicCache = "public, max-age=300"

var tokens = api.TokensJSONResponse{AccessToken: "a", RefreshToken: "r", TokenType: api.Bearer, ExpiresIn: 900,
	User: user}

// serve counts the call and three statements, and does what the test says. Its error comes back with no answer, as a
// feature's would.
func serve[R any](ctx context.Context, h handlers, request any, response R) (R, error) {
	h.handled.Add(1)
	for range 3 {
		principal.CountStatement(ctx, 500*time.Microsecond)
	}
	if err := h.handle(ctx, request); err != nil {
		var none R
		return none, err
	}
	return response, nil
}

func (h handlers) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	return serve[api.LoginResponseObject](ctx, h, r, api.Login200JSONResponse{TokensJSONResponse: tokens})
}

func (h handlers) Register(ctx context.Context, r api.RegisterRequestObject) (api.RegisterResponseObject, error) {
	return serve[api.RegisterResponseObject](ctx, h, r, api.Register201JSONResponse{TokensJSONResponse: tokens})
}

func (h handlers) Refresh(ctx context.Context, r api.RefreshRequestObject) (api.RefreshResponseObject, error) {
	return serve[api.RefreshResponseObject](ctx, h, r, api.Refresh200JSONResponse{TokensJSONResponse: tokens})
}

func (h handlers) Logout(ctx context.Context, r api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	return serve[api.LogoutResponseObject](ctx, h, r, api.Logout204Response{})
}

func (h handlers) LogoutAll(ctx context.Context, r api.LogoutAllRequestObject) (api.LogoutAllResponseObject, error) {
	return serve[api.LogoutAllResponseObject](ctx, h, r, api.LogoutAll204Response{})
}

func (h handlers) ListSessions(ctx context.Context, r api.ListSessionsRequestObject) (api.ListSessionsResponseObject,
	error) {
	return serve[api.ListSessionsResponseObject](ctx, h, r, api.ListSessions200JSONResponse{Items: []api.Session{}})
}

func (h handlers) ListMyIdentities(ctx context.Context,
	r api.ListMyIdentitiesRequestObject) (api.ListMyIdentitiesResponseObject, error) {
	return serve[api.ListMyIdentitiesResponseObject](ctx, h, r,
		api.ListMyIdentities200JSONResponse{Items: []api.Identity{}})
}

func (h handlers) ListUserIdentities(ctx context.Context,
	r api.ListUserIdentitiesRequestObject) (api.ListUserIdentitiesResponseObject, error) {
	return serve[api.ListUserIdentitiesResponseObject](ctx, h, r,
		api.ListUserIdentities200JSONResponse{Items: []api.Identity{}})
}

func (h handlers) EndSession(ctx context.Context, r api.EndSessionRequestObject) (api.EndSessionResponseObject, error) {
	return serve[api.EndSessionResponseObject](ctx, h, r, api.EndSession204Response{})
}

func (h handlers) ChangePassword(ctx context.Context,
	r api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	return serve[api.ChangePasswordResponseObject](ctx, h, r, api.ChangePassword204Response{})
}

func (h handlers) GetMe(ctx context.Context, r api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	return serve[api.GetMeResponseObject](ctx, h, r,
		api.GetMe200JSONResponse{UserJSONResponse: api.UserJSONResponse(user)})
}

func (h handlers) UpdateMe(ctx context.Context, r api.UpdateMeRequestObject) (api.UpdateMeResponseObject, error) {
	return serve[api.UpdateMeResponseObject](ctx, h, r,
		api.UpdateMe200JSONResponse{UserJSONResponse: api.UserJSONResponse(user)})
}

func (h handlers) GetJWKS(ctx context.Context, r api.GetJWKSRequestObject) (api.GetJWKSResponseObject, error) {
	response := api.GetJWKS200JSONResponse{Body: api.JWKS{Keys: []api.JWK{}},
		Headers: api.GetJWKS200ResponseHeaders{CacheControl: publicCache}}
	return serve[api.GetJWKSResponseObject](ctx, h, r, response)
}

func (h handlers) GetHealth(ctx context.Context, r api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return serve[api.GetHealthResponseObject](ctx, h, r, api.GetHealth200JSONResponse{Status: api.Ok})
}

func (h handlers) GetReadiness(ctx context.Context, r api.GetReadinessRequestObject) (api.GetReadinessResponseObject,
	error) {
	return serve[api.GetReadinessResponseObject](ctx, h, r, api.GetReadiness200JSONResponse{Status: api.Ok})
}

func (h handlers) CallBackOAuth(ctx context.Context, r api.CallBackOAuthRequestObject) (api.CallBackOAuthResponseObject,
	error) {
	return serve[api.CallBackOAuthResponseObject](ctx, h, r, api.CallBackOAuth204Response{})
}

func (h handlers) ListUsers(ctx context.Context, r api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	return serve[api.ListUsersResponseObject](ctx, h, r,
		api.ListUsers200JSONResponse{Body: api.Users{Items: []api.User{}}})
}

func (h handlers) GetUser(ctx context.Context, r api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	return serve[api.GetUserResponseObject](ctx, h, r,
		api.GetUser200JSONResponse{UserJSONResponse: api.UserJSONResponse(user)})
}
