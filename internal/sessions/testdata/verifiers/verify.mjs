// Verifies access tokens as services of others would. Input: {issuer, jwks, tokens: {name: token}}. Output: what each verifier says of
// each token, "" if it accepts it.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { webcrypto } from 'node:crypto'
import { text } from 'node:stream/consumers'

globalThis.crypto ??= webcrypto // Node 18

const { issuer, jwks, tokens } = JSON.parse(await text(process.stdin))

async function byJose(token) {
  const keys = jose.createRemoteJWKSet(new URL(jwks))
  await jose.jwtVerify(token, keys, {
    issuer, audience: issuer, typ: 'at+jwt', requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
  })
}

async function byOAuth4WebAPI(token) {
  const request = new Request('https://api.test/things', { headers: { authorization: `Bearer ${token}` } })
  await oauth.validateJwtAccessToken({ issuer, jwks_uri: jwks }, request, issuer, { [oauth.allowInsecureRequests]: true })
}

const app = express()
app.use(auth({ issuer, audience: issuer, jwksUri: jwks, strict: true }))
app.get('/things', (request, response) => response.json(request.auth.payload))
app.use((error, request, response, next) => response.status(error.status ?? 500).json(error.message))
const listening = await new Promise((resolve) => { const server = app.listen(0, '127.0.0.1', () => resolve(server)) })

async function byExpress(token) {
  const response = await fetch(`http://127.0.0.1:${listening.address().port}/things`, { headers: { authorization: `Bearer ${token}` } })
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
}

const said = {}
for (const [verifier, verify] of Object.entries({ jose: byJose, oauth4webapi: byOAuth4WebAPI, 'express-oauth2-jwt-bearer': byExpress })) {
  said[verifier] = {}
  for (const [name, token] of Object.entries(tokens)) {
    said[verifier][name] = await verify(token).then(() => '', (error) => `${error.message} ${error.cause?.message ?? ''}`)
  }
}
console.log(JSON.stringify(said))
listening.close()
listening.closeAllConnections()
