// Goes with a client from npm all the way from a bare URL to a call, logging in without a
// browser, and prints as JSON what came. Arguments: which client, the URL of the server,
// how many seconds its first token is good, and the URL of the client's metadata document,
// without which it registers itself. A free port follows for mcp-remote.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { visit } from './browser.mjs';

const [kind, url, seconds, document, port] = process.argv.slice(2);
const info = { name: 'integration', version: '1' };
const steps = [];

// traced is fetch, and remembers what was asked and answered.
async function traced(target, init) {
  const response = await fetch(target, init);
  steps.push(`${init?.method ?? 'GET'} ${new URL(target.toString()).pathname} ${response.status}`);
  return response;
}

// Login is what a client knows of its user's login.
class Login {
  redirectUrl = 'http://127.0.0.1:1/callback';
  clientMetadata = {
    client_name: `integration ${kind}`,
    application_type: 'native',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  clientMetadataUrl = document || undefined;
  state = () => randomUUID();
  clientInformation = () => this.client;
  saveClientInformation(client) { this.client = client; }
  // On a 403 this client refreshes if it can, though that gives no scope that the token has
  // not (RFC 6749 section 6), and gives up. Without a refresh token it steps up.
  tokens = () => (kind === 'sdk' && !this.steppedUp && this.held ? { ...this.held, refresh_token: undefined } : this.held);
  saveTokens(tokens) { this.held = tokens; }
  codeVerifier = () => this.verifier;
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  discoveryState = () => this.discovered;
  saveDiscoveryState(state) { this.discovered = state; }
  async redirectToAuthorization(address) { this.back = await visit(address, this.redirectUrl); }
}

const login = new Login();

// retried logs in wherever the client says that its user has to, and does it again: once, or
// more often where a token has ended before it was used.
async function retried(transport, act) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (error) {
      if (!login.back || attempt === 4) {
        throw error;
      }
      const answer = login.back.searchParams;
      login.back = undefined;
      await transport.finishAuth(kind === 'sdk' ? answer.get('code') : answer);
    }
  }
}

// directly connects by Streamable HTTP with a client of an SDK.
async function directly({ Client, StreamableHTTPClientTransport }, options) {
  const transport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: login, fetch: traced });
  let client;
  let used = transport();
  await retried(used, async () => {
    client = new Client(info, { capabilities: {}, ...options });
    used = transport();
    await client.connect(used);
  });
  return { client, call: (name) => retried(used, () => client.callTool({ name, arguments: { text: name } })), session: () => used.sessionId };
}

// throughRemote connects to mcp-remote on stdio, which does all of it by itself.
async function throughRemote() {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
  const opener = new URL('./opener.mjs', import.meta.url).href;
  const args = ['--import', opener, process.env.MCP_REMOTE, url, port, '--host', '127.0.0.1', '--transport', 'http-only'];
  if (document) {
    args.push('--client-metadata-url', document);
  }
  const client = new Client(info, { capabilities: {} });
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'inherit', env: process.env }));
  return { client, call: (name) => client.callTool({ name, arguments: { text: name } }) };
}

async function connect() {
  if (kind === 'mcp-remote') {
    return throughRemote();
  }
  if (kind === 'sdk') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    return directly({ Client, StreamableHTTPClientTransport }, {});
  }
  const mode = kind === 'modern' ? { pin: '2026-07-28' } : kind;
  return directly(await import('@modelcontextprotocol/client'), { versionNegotiation: { mode } });
}

const { client, call, session } = await connect();
const text = async (name) => (await call(name)).content[0].text;
const texts = [await text('echo'), await text('pid')]; // the second needs a step up
login.steppedUp = true;
const before = session?.();
await sleep(Number(seconds) * 1000 + 1000); // the token of the login has ended by then
texts.push(await text('pid'));
console.log(JSON.stringify({
  texts,
  client: login.client?.client_id ?? '',
  version: client.getNegotiatedProtocolVersion?.() ?? '',
  kept: before === session?.(),
  steps,
}));
await client.close();
process.exit(0);
