// A FAPI 2.0 client that is not ours: oauth4webapi (RFC 8414, RFC 7523, RFC 9449).
// Reads {issuer, client_id, jwk} on standard input; says what token it got, and what the API answered to it and without.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const modules = createRequire(pathToFileURL(`${process.argv[2]}/package.json`));
const oauth = await import(pathToFileURL(modules.resolve("oauth4webapi")));

const { issuer, client_id, jwk } = JSON.parse(readFileSync(0, "utf8"));
const plain = { [oauth.allowInsecureRequests]: true }; // the test serves on loopback, without TLS
const client = { client_id };
const curve = { name: "ECDSA", namedCurve: "P-256" };
const authentication = oauth.PrivateKeyJwt(await crypto.subtle.importKey("jwk", jwk, curve, false, ["sign"]));

const url = new URL(issuer);
const found = await oauth.discoveryRequest(url, { algorithm: "oauth2", ...plain });
const server = await oauth.processDiscoveryResponse(url, found);

const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
const again = async (request) => {
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return await request(); // the library has kept the nonce of the answer
  }
};
const token = await again(async () => {
  const parameters = new URLSearchParams({ scope: "reports:read" });
  const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, { DPoP, ...plain });
  return oauth.processClientCredentialsResponse(server, client, answer);
});

const ask = (options) => oauth.protectedResourceRequest(
  token.access_token, "GET", new URL("/v1/summary", issuer), new Headers(), undefined, { ...options, ...plain });
const seen = await again(async () => await ask({ DPoP }));
let without = 0;
try {
  without = (await ask({})).status;
} catch (error) {
  without = error.status ?? error.response?.status;
}
console.log(JSON.stringify({
  token_type: token.token_type, scope: token.scope, seconds: token.expires_in,
  status: seen.status, fields: Object.keys(await seen.json()).length, without,
}));
