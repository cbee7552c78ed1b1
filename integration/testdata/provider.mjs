// An authorization server for tests: oidc-provider, which logs in alice and consents to all
// that is asked for, without a page. It prints its issuer, and then as JSON what each client
// asks of it. ACCESS_SECONDS is how long the token of a login is good; those of a refresh
// are good for ten minutes.
import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

const scopes = process.env.SCOPES.split(' ');
const brief = Number(process.env.ACCESS_SECONDS);
const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);

const server = http.createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

// The metadata documents of clients stand at a name that exists nowhere else.
const documents = 'https://client.example/';
const fetchDocument = async (url) => {
  if (!url.toString().startsWith(documents)) {
    return new Response('', { status: 404 });
  }
  say({ document: url.toString() });
  return Response.json({
    client_id: url.toString(),
    client_name: 'described by a document',
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  });
};

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...signing, alg: 'ES256', use: 'sig', kid: 'one' }] },
  cookies: { keys: [randomUUID()] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  scopes: ['openid', 'offline_access', ...scopes],
  pkce: { required: () => true },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  interactions: { url: (_ctx, interaction) => `/login/${interaction.uid}` },
  fetch: fetchDocument,
  features: {
    devInteractions: { enabled: false },
    // Clients register with the scopes that the first challenge asked for. RFC 7591 section 2
    // lets the server give more, without which they could not step up.
    registration: {
      enabled: true,
      idFactory: (ctx) => {
        ctx.oidc.body.scope = ['offline_access', ...scopes].join(' ');
        return randomUUID();
      },
    },
    clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: scopes.join(' '),
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: ctx.oidc.params?.grant_type === 'refresh_token' ? 600 : brief,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

// logIn finishes each interaction at once: it answers the prompt that it is about.
async function logIn(req, res) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  if (prompt.name === 'login') {
    return provider.interactionFinished(req, res, { login: { accountId: 'alice' } });
  }
  const grant = (grantId && (await provider.Grant.find(grantId)))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) {
    grant.addOIDCScope(missingOIDCScope.join(' '));
  }
  for (const [resource, missing] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, missing.join(' '));
  }
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

provider.use(async (ctx, next) => {
  await next();
  const { oidc } = ctx;
  const { client_id: client, grant_type: grant, scope, resource, code_challenge_method: pkce } = oidc?.params ?? {};
  const { client_id: registered, redirect_uris: redirects, error_description: error } = ctx.body ?? {};
  say({ route: oidc?.route, status: ctx.status, client: client ?? registered, redirects, grant, scope, resource, pkce, error });
});
provider.on('server_error', (_ctx, error) => say({ fault: error.stack }));

const answer = provider.callback();
server.on('request', (req, res) => {
  if (!req.url.startsWith('/login/')) {
    answer(req, res);
    return;
  }
  logIn(req, res).catch((error) => {
    say({ fault: error.stack });
    res.writeHead(500).end();
  });
});
say({ issuer });
