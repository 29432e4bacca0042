// How an agent's Node program calls other agents, through the router, as itself.
//
//   import { callTool, listTools, getResource } from "/Agent/client/ploinky_client.mjs";
//   console.log((await callTool("texts.word_count", { text: "a b" })).text);
//
// Nothing but Node 18; address and token come from the environment that every agent has. A name is AGENT.TOOL,
// or the name that the tool has at the endpoint of all agents.

import { request } from "node:http";

const VERSION = "2026-07-28";
const META = "io.modelcontextprotocol/";

/** The router or the agent refused; `code` is JSON-RPC's, or null if the router could not be asked. */
export class PloinkyError extends Error {
  constructor(message, code = null) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The tool ran and failed; the message is what it said. */
export class ToolError extends PloinkyError {}

/** Call a tool and wait for its end: `{text, content, structured}`. */
export async function callTool(name, args = {}, { timeoutMs = 600_000 } = {}) {
  const dot = name.indexOf(".");
  const [agent, tool] = dot < 0 ? [null, name] : [name.slice(0, dot), name.slice(dot + 1)];
  const result = await ask(agent, "tools/call", tool, { name: tool, arguments: args }, timeoutMs);
  const content = result.content ?? [];
  const text = content.filter((block) => "text" in block).map((block) => block.text).join("\n");
  if (result.isError) throw new ToolError(text || `The tool ${name} failed and said nothing.`);
  return { text, content, structured: result.structuredContent };
}

/** The tools that this agent may call: all, or those of one agent by their own names. */
export async function listTools(agent = null, { timeoutMs = 30_000 } = {}) {
  return (await ask(agent, "tools/list", null, {}, timeoutMs)).tools;
}

/** What a resource holds: a string, or a Buffer. */
export async function getResource(uri, agent = null, { timeoutMs = 60_000 } = {}) {
  const [first] = (await ask(agent, "resources/read", uri, { uri }, timeoutMs)).contents;
  return first.text ?? Buffer.from(first.blob, "base64");
}

async function ask(agent, method, name, params, timeoutMs) {
  const { PLOINKY_ROUTER_URL: url, PLOINKY_AGENT_TOKEN: token } = process.env;
  if (!url || !token)
    throw new PloinkyError("PLOINKY_ROUTER_URL and PLOINKY_AGENT_TOKEN are missing: is this an agent's program?");
  const meta = { [META + "protocolVersion"]: VERSION, [META + "clientCapabilities"]: {} };
  const headers = {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    Accept: "application/json",
    "MCP-Protocol-Version": VERSION,
    "Mcp-Method": method,
  };
  if (name !== null) headers["Mcp-Name"] = header(name);
  if (process.env.TRACEPARENT) headers.traceparent = process.env.TRACEPARENT;
  let answer;
  try {
    const path = agent ? `/mcps/${encodeURIComponent(agent)}/mcp` : "/mcp";
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } });
    answer = JSON.parse(await post(url.replace(/\/+$/, "") + path, headers, body, timeoutMs));
  } catch (error) {
    throw new PloinkyError(`The router at ${url} cannot be asked: ${error.cause?.message ?? error.message}`);
  }
  if (answer.error) throw new PloinkyError(answer.error.message, answer.error.code);
  return answer.result;
}

// By the network, or by the socket that lies in an agent without one.
function post(url, headers, body, timeoutMs) {
  const socketPath = process.env.PLOINKY_ROUTER_SOCKET || undefined;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const how = { method: "POST", headers, signal, agent: false, ...(socketPath && { socketPath }) };
    const asked = request(url, how, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part)).on("error", reject);
      answer.on("end", () => resolve(Buffer.concat(parts).toString()));
    });
    asked.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    asked.end(body);
  });
}

function header(name) {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(name);
  return plain ? name : `=?base64?${Buffer.from(name).toString("base64")}?=`;
}
