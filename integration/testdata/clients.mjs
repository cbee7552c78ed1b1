// Uses a server through the gateway with a client from npm, and prints as JSON what came.
// Arguments: which client, the URL, and a list of tool calls. BEARER_TOKEN is the token.
import { parseArgs } from 'node:util';

const { positionals } = parseArgs({ allowPositionals: true });
const [kind, url, calls] = positionals;
const authorization = `Bearer ${process.env.BEARER_TOKEN}`;
const info = { name: 'integration', version: '1' };
const requestInit = { headers: { authorization } };

async function connect() {
  if (kind === 'sdk') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const client = new Client(info, { capabilities: {} });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    return client;
  }
  if (kind === 'mcp-remote') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    const client = new Client(info, { capabilities: {} });
    const args = [process.env.MCP_REMOTE, url, '--header', 'Authorization:${AUTHORIZATION}'];
    await client.connect(new StdioClientTransport({
      command: process.execPath, args, stderr: 'inherit',
      env: { ...process.env, AUTHORIZATION: authorization },
    }));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const mode = kind === 'modern' ? { pin: '2026-07-28' } : kind;
  const client = new Client(info, { capabilities: {}, versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}

const client = await connect();
const { tools } = await client.listTools();
const texts = [];
for (const call of JSON.parse(calls)) {
  const result = await client.callTool(call);
  texts.push(result.content.map((c) => c.text ?? c.type).join('\n'));
}
const version = client.getNegotiatedProtocolVersion?.() ?? '';
await client.close();
console.log(JSON.stringify({ tools: tools.map((t) => t.name), texts, version }));
