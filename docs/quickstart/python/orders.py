"""A service that accepts the access tokens of Tenantry. It needs PyJWT and cryptography (pip install 'pyjwt[crypto]')."""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8080")  # TENANTRY_PUBLIC_URL, exactly
KEYS = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json", lifespan=300)
refreshed = -60.0  # when the keys were last fetched for an unknown id


def verify(authorization):
    """Return the claims of a bearer token. Raise jwt.InvalidTokenError if it is not valid."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise jwt.InvalidTokenError("a bearer token is needed")
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    return jwt.decode(
        token,
        signing_key(token),
        algorithms=["ES256", "EdDSA", "RS256"],
        issuer=ISSUER,
        audience=ISSUER,
        options={"require": ["exp", "iss", "aud", "sub", "tid", "roles"]},
    )


def signing_key(token):
    """Return the key that the token names. Keys that cannot be fetched are no fault of the client: that error passes."""
    global refreshed
    kid = jwt.get_unverified_header(token).get("kid")
    keys = {key.key_id: key.key for key in KEYS.get_signing_keys()}
    if kid not in keys and time.monotonic() - refreshed > 10:  # so that made-up ids cost the issuer nothing
        refreshed = time.monotonic()
        keys = {key.key_id: key.key for key in KEYS.get_signing_keys(refresh=True)}
    if kid not in keys:
        raise jwt.InvalidTokenError("unknown key")
    return keys[kid]


class Orders(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            claims = verify(self.headers.get("Authorization"))
        except jwt.InvalidTokenError:
            self.answer(401, {"error": "invalid_token"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        except (jwt.PyJWKClientError, OSError):
            self.answer(503, {"error": "unavailable"}, {"Retry-After": "1"})
        else:
            # Read and write the rows of this tenant only.
            self.answer(200, {"tenant": claims["tid"], "user": claims["sub"], "roles": claims["roles"]})

    def answer(self, status, body, headers=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Orders)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
