// A service that accepts the access tokens of Tenantry. It needs the package jose.
import { createServer } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const issuer = process.env.ISSUER ?? "http://127.0.0.1:8080"; // TENANTRY_PUBLIC_URL, exactly
const keys = createRemoteJWKSet(new URL(issuer + "/.well-known/jwks.json"), { cacheMaxAge: 300_000 });

// verify returns the claims of the bearer token of a request, and throws if there is no valid one.
async function verify(request) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token) throw new errors.JWTInvalid("a bearer token is needed");
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience: issuer,
    typ: "at+jwt",
    algorithms: ["ES256", "EdDSA", "RS256"],
    requiredClaims: ["exp", "sub", "tid", "roles"],
  });
  return payload;
}

// outage tells keys that cannot be fetched from a token that is wrong: the former is no fault of the client.
const outage = (error) =>
  !(error instanceof errors.JOSEError) || ["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID"].includes(error.code);

const server = createServer(async (request, response) => {
  const answer = (status, body, headers = {}) =>
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
  try {
    const claims = await verify(request);
    // Read and write the rows of this tenant only.
    answer(200, { tenant: claims.tid, user: claims.sub, roles: claims.roles });
  } catch (error) {
    if (outage(error)) answer(503, { error: "unavailable" }, { "Retry-After": "1" });
    else answer(401, { error: "invalid_token" }, { "WWW-Authenticate": 'Bearer error="invalid_token"' });
  }
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
