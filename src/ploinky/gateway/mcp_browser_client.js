// MCP for pages: import { MCPBrowserClient } from "/MCPBrowserClient.js".
//
//   const texts = new MCPBrowserClient({ agent: "texts" });   // without agent: all agents as one
//   (await texts.callTool("word_count", { text: "a b" })).text;
//
// A page of this gateway is known by its cookie; any other gives a token. It speaks the stateless revision, one
// request at a time, and follows tasks to their end.

const VERSION = "2026-07-28";
const META = "io.modelcontextprotocol/";
const TASKS = META + "tasks";

/** What was refused, or what a tool said when it failed (`isToolError`); `code` is JSON-RPC's, if there is one. */
export class MCPError extends Error {
  constructor(message, { code = null, isToolError = false } = {}) {
    super(message);
    this.name = "MCPError";
    this.code = code;
    this.isToolError = isToolError;
  }
}

export class MCPBrowserClient {
  #url;
  #token;

  /** `base` is the gateway's address, that of the page unless given. */
  constructor({ agent = null, base = "", token = null } = {}) {
    this.#url = base + (agent === null ? "/mcp" : `/mcps/${encodeURIComponent(agent)}/mcp`);
    this.#token = token;
  }

  /** Call a tool and wait for its end: `{text, content, structured}`. `onProgress` hears a task's messages. */
  async callTool(name, args = {}, { signal, onProgress = () => {} } = {}) {
    let result = await this.#ask("tools/call", name, { name, arguments: args }, signal);
    if (result.resultType === "task") result = await this.#ended(result, signal, onProgress);
    const content = result.content ?? [];
    const text = content.filter((block) => "text" in block).map((block) => block.text).join("\n");
    if (result.isError) throw new MCPError(text || `The tool ${name} failed.`, { isToolError: true });
    return { text, content, structured: result.structuredContent };
  }

  async listTools({ signal } = {}) {
    return (await this.#ask("tools/list", null, {}, signal)).tools;
  }

  async listResources({ signal } = {}) {
    return (await this.#ask("resources/list", null, {}, signal)).resources;
  }

  /** What a resource holds: a string, or a Uint8Array. */
  async getResource(uri, { signal } = {}) {
    const [first] = (await this.#ask("resources/read", uri, { uri }, signal)).contents;
    return first.text ?? Uint8Array.from(atob(first.blob), (character) => character.charCodeAt(0));
  }

  async getPrompt(name, args = {}, { signal } = {}) {
    return (await this.#ask("prompts/get", name, { name, arguments: args }, signal)).messages;
  }

  async #ended(task, signal, onProgress) {
    const about = { taskId: task.taskId };
    let told = null;
    try {
      while (task.status === "working" || task.status === "input_required") {
        await new Promise((resolve) => setTimeout(resolve, task.pollIntervalMs ?? 1000));
        task = await this.#ask("tasks/get", task.taskId, about, signal);
        if (task.statusMessage && task.statusMessage !== told) onProgress((told = task.statusMessage));
      }
    } catch (error) {
      if (signal?.aborted) await this.#ask("tasks/cancel", about.taskId, about).catch(() => {});
      throw error;
    }
    if (task.error) throw new MCPError(task.error.message, { code: task.error.code });
    if (!task.result) throw new MCPError(task.statusMessage ?? "The task was cancelled.");
    return task.result;
  }

  async #ask(method, name, params, signal) {
    const meta = { [META + "protocolVersion"]: VERSION, [META + "clientCapabilities"]: { extensions: { [TASKS]: {} } } };
    const headers = {
      "Content-Type": "application/json",
      Accept: "application/json",
      "MCP-Protocol-Version": VERSION,
      "Mcp-Method": method,
      ...(name === null ? {} : { "Mcp-Name": header(name) }),
      ...(this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` }),
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } });
    const response = await fetch(this.#url, { method: "POST", headers, body, signal, credentials: "same-origin" });
    const answer = await response.json();
    if (answer.error) throw new MCPError(answer.error.message, { code: answer.error.code });
    return answer.result;
  }
}

function header(name) {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(name)) return name;
  return `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(name)))}?=`;
}
