// A run under way, put together from its events. Pure: the same events in any number of pieces give the same run.

import type { Json, JsonMap } from "../../api/types";
import type { JournalEvent } from "./types";

export interface LiveTool {
  kind: "tool";
  id: string;
  name: string;
  arguments: JsonMap | null;
  text: string | null;
  isError: boolean;
  progress: string;
  fraction: number | null;
}

export interface LiveText {
  kind: "text";
  id: string;
  text: string;
}

export interface LiveRun {
  runId: string;
  lastSeq: number;
  status: "queued" | "running" | "ended";
  thinking: string;
  items: (LiveTool | LiveText)[];
  notice: string;
  error: { message: string; hint: string | null } | null;
}

const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const isMap = (value: Json | undefined): value is JsonMap => typeof value === "object" && value !== null && !Array.isArray(value);

export const newRun = (runId: string): LiveRun => ({
  runId,
  lastSeq: 0,
  status: "queued",
  thinking: "",
  items: [],
  notice: "",
  error: null,
});

function withTool(run: LiveRun, id: string, change: Partial<LiveTool>): LiveRun {
  const known = run.items.some((item) => item.kind === "tool" && item.id === id);
  const fresh: LiveTool = { kind: "tool", id, name: "", arguments: null, text: null, isError: false, progress: "", fraction: null };
  const items = known ? run.items : [...run.items, fresh];
  return { ...run, items: items.map((item) => (item.kind === "tool" && item.id === id ? { ...item, ...change } : item)) };
}

function withText(run: LiveRun, id: string, delta: string): LiveRun {
  const last = run.items.at(-1);
  if (last?.kind === "text" && last.id === id) {
    return { ...run, items: [...run.items.slice(0, -1), { ...last, text: last.text + delta }] };
  }
  return { ...run, items: [...run.items, { kind: "text", id, text: delta }] };
}

type Fold = (run: LiveRun, data: Record<string, Json>) => LiveRun;

const FOLDS: Record<string, Fold> = {
  started: (run) => ({ ...run, status: "running" }),
  thinking: (run, data) => ({ ...run, status: "running", thinking: run.thinking + text(data.text) }),
  assistant_delta: (run, data) => ({ ...withText(run, text(data.messageId), text(data.text)), status: "running", notice: "" }),
  tool_call: (run, data) => withTool(run, text(data.id), { name: text(data.name), arguments: isMap(data.arguments) ? data.arguments : null }),
  tool_progress: (run, data) => withTool(run, text(data.id), { progress: text(data.message), fraction: typeof data.fraction === "number" ? data.fraction : null }),
  tool_result: (run, data) => withTool(run, text(data.id), { text: text(data.text), isError: data.isError === true }),
  notice: (run, data) => ({ ...run, notice: text(data.message) }),
  error: (run, data) => ({ ...run, error: { message: text(data.message), hint: text(data.hint) || null } }),
  done: (run) => ({ ...run, status: "ended" }),
};

export function fold(before: LiveRun | null, event: JournalEvent): LiveRun | null {
  if (!event.runId) return before;
  const run = before?.runId === event.runId ? before : newRun(event.runId);
  const seq = event.seq ?? run.lastSeq + 1;
  if (seq <= run.lastSeq) return run;
  const change = FOLDS[event.event];
  return { ...(change ? change(run, event.data) : run), lastSeq: seq };
}
