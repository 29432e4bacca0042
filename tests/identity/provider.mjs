// npm's oidc-provider on a free port of the loopback. Prints the port, waits for one line of JSON on stdin
// ({"redirects": [...], "account": "alice", "verified": true, "ttl": 600, "grace": 0}), prints "ready", ends with its stdin.
import http from "node:http";
import readline from "node:readline";
import Provider from "oidc-provider";

let handler = (_, answer) => answer.writeHead(503).end();
const server = http.createServer((request, answer) => handler(request, answer));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0));

const lines = readline.createInterface({ input: process.stdin });
const told = JSON.parse(await new Promise((resolve) => lines.once("line", resolve)));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "gateway",
      client_secret: "the-gateways-own-secret",
      redirect_uris: told.redirects,
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
    {
      client_id: "robot",
      client_secret: "the-robots-own-secret",
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  conformIdTokenClaims: false,
  scopes: ["openid", "email", "tools:call", "agents:read"],
  cookies: { keys: ["only for tests"] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "tools:call agents:read",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: told.ttl,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  formats: {
    customizers: {
      jwt: (_ctx, _token, parts) => {
        parts.payload.exp += told.grace;
      },
    },
  },
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@harbour.example`, email_verified: told.verified }),
  }),
});

// Everybody logs in as the account that the test named, and agrees to everything.
async function interact(request, answer) {
  const { params, grantId } = await provider.interactionDetails(request, answer);
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: told.account, clientId: params.client_id });
  if (params.scope) grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope(params.resource, "tools:call agents:read");
  const result = { login: { accountId: told.account }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, answer, result, { mergeWithLastSubmission: true });
}

const callback = provider.callback();
handler = (request, answer) =>
  request.url.startsWith("/interaction/") ? interact(request, answer) : callback(request, answer);
console.log("ready");
