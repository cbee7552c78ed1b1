// An MCP server on stdio that keeps notes for many users in one process. It is told
// who calls by the Snapgate gateway, in _meta of each call, and believes nothing else.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";

const KEY = "io.github.snapgate/identity";

// The first 16 bytes of SHA-256(issuer, LF, subject) in lower-case base32.
function userKey(issuer, subject) {
  const sum = createHash("sha256").update(`${issuer}\n${subject}`).digest().subarray(0, 16);
  const bits = [...sum].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.match(/.{1,5}/g).map((five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five.padEnd(5, "0"), 2)]).join("");
}

class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Who calls. The gateway has verified the token; what is left to do is to take the
// identity from its own key of this very call, and to refuse when it is not there.
function caller(params) {
  const meta = params?._meta;
  if (meta === null || typeof meta !== "object" || !Object.hasOwn(meta, KEY)) {
    throw new Refusal(-32602, "no verified identity");
  }
  const id = meta[KEY];
  const valid = [id?.issuer, id?.subject, id?.user].every((text) => typeof text === "string" && text !== "");
  if (!valid || id.user !== userKey(id.issuer, id.subject)) throw new Refusal(-32602, "invalid identity");
  const now = Date.now() / 1000;
  if (id.expires && now > id.expires + 120) throw new Refusal(-32602, "the token has expired");
  return id;
}

const notes = new Map(); // of user: a list of texts
const tools = {
  add_note: ({ text }, user) => {
    notes.set(user, [...(notes.get(user) ?? []).slice(-99), String(text)]);
    return "kept";
  },
  list_notes: (_, user) => (notes.get(user) ?? []).join("\n") || "no notes",
};

const serverInfo = { name: "notes", version: "1.0.0" };
const capabilities = { tools: {} };
const schema = { type: "object", properties: { text: { type: "string" } } };
const methods = {
  // The gateway's own messages: they name no user.
  initialize: ({ protocolVersion }) => ({ protocolVersion: protocolVersion < "2026" ? protocolVersion : "2025-11-25", capabilities, serverInfo }),
  "server/discover": () => ({ supportedVersions: ["2026-07-28"], capabilities, ttlMs: 0, cacheScope: "private" }),
  ping: () => ({}),
  "tools/list": () => ({
    tools: Object.keys(tools).map((name) => ({ name, inputSchema: schema })), ttlMs: 0, cacheScope: "private",
  }),
  "tools/call": (params) => {
    const { user } = caller(params);
    if (!Object.hasOwn(tools, params.name)) throw new Refusal(-32602, "no such tool");
    return { content: [{ type: "text", text: tools[params.name](params.arguments ?? {}, user) }] };
  },
};

function answer({ id, method, params = {} }) {
  if (id === undefined || method === undefined) return; // a notification, or an answer
  try {
    if (!Object.hasOwn(methods, method)) throw new Refusal(-32601, `there is no ${method}`);
    const result = methods[method](params);
    if (params?._meta?.["io.modelcontextprotocol/protocolVersion"]) {
      Object.assign(result, { resultType: "complete", _meta: { "io.modelcontextprotocol/serverInfo": serverInfo } });
    }
    return { jsonrpc: "2.0", id, result };
  } catch (error) {
    return { jsonrpc: "2.0", id, error: { code: error.code ?? -32603, message: error.message } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    process.stdout.write(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}\n`);
    continue;
  }
  const said = answer(message);
  if (said) process.stdout.write(JSON.stringify(said) + "\n");
}
