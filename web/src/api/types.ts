// What the RPC methods answer, as docs/rpc.md has it.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonMap = { [key: string]: Json };

export interface AgentStatus {
  name: string;
  agent: string;
  repo: string;
  state: string;
  health: string;
  ready: boolean;
  reason: string;
  profile: string | null;
  runtime: string | null;
  mode: string | null;
  ports: string[];
  startedAt: string | null;
  restarts: number;
  image: string;
}

export interface WorkspaceStatus {
  workspace: string;
  profile: string | null;
  router: { state: string; url: string | null; pid: number | null };
  agents: AgentStatus[];
}

export interface AgentRow {
  agent: string;
  repo: string;
  enabled: string[];
  state: string | null;
  about: string;
  fault: string | null;
}

export interface Graph {
  nodes: string[];
  edges: { from: string; to: string; waits: boolean }[];
}

export interface ToolRow {
  name: string;
  agent: string | null;
  title: string;
  description: string;
  inputSchema: JsonMap;
}

export interface CallAnswer {
  text: string;
  structured: Json;
  isError: boolean;
  ms: number;
}

export interface ProfileRow {
  name: string;
  active: boolean;
  status: string;
  secrets: number;
  found: number;
  missing: string[];
}

export interface Check {
  name?: string;
  script?: string;
  ok: boolean;
  required?: boolean;
  source?: string | null;
}

export interface Validated {
  profile: string;
  errors: number;
  agents: {
    agent: string;
    manifest: string | null;
    definition: string | null;
    environment?: Check[];
    secrets?: Check[];
    scripts?: Check[];
    warnings?: string[];
  }[];
}

export interface SecretRow {
  name: string;
  found: boolean;
  source: string | null;
  required: boolean;
  agents: string[];
}

export interface ConfigAnswer {
  settings: JsonMap;
  restartNeeded: string[];
}

export interface Gateway {
  version: string;
  workspace: string;
  name: string;
  profile: string | null;
  epoch: string;
  caller: string;
  scopes: string[];
}

export interface Finding {
  check: string;
  status: "ok" | "warning" | "problem";
  message: string;
  hint: string | null;
  fix: string | null;
}

export interface OperationAnswer {
  operationId: string;
  done: boolean;
  result: Json;
}

export interface OperationRow {
  id: string;
  title: string;
  agent: string | null;
  startedAt: string;
  outcome: string;
  message: string;
}

export interface AuditRow {
  at: string;
  event: string;
  caller: string;
  what: string;
  target: string;
  outcome: string;
  auditId: string;
  ms: number;
}

export interface CallSum {
  calls: number;
  errors: number;
  p50Ms: number;
  p95Ms: number;
}

export interface Statistics {
  spans: (CallSum & { at: string })[];
  agents: (CallSum & { agent: string })[];
}
