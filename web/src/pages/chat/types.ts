import type { Json, JsonMap } from "../../api/types";

export interface ToolCall {
  id: string;
  name: string;
  arguments: JsonMap;
}

export interface Message {
  id: string;
  role: "user" | "assistant" | "tool" | "system";
  content: string;
  at: string;
  runId?: string;
  toolCalls?: ToolCall[];
  toolCallId?: string;
  name?: string;
  isError?: boolean;
  tainted?: boolean;
  /** Of an answer that did not come to its end. */
  status?: "interrupted" | "cancelled";
  source?: string;
}

export interface Thread {
  profileId: string;
  sessionId: string;
  title?: string;
  version: number;
  messages: Message[];
}

export interface SessionRow {
  sessionId: string;
  channelKind: string;
  title: string;
  updatedAt: string;
  count: number;
}

export interface ProfileFacts {
  profileId: string;
  name: string;
  root: string;
  modelId: string;
  settings: JsonMap;
  spending: { tokensToday: number; costToday: number; proactiveLastHour: number; proactiveToday: number; limits: JsonMap };
  incident: { reason: string; openedAt: string } | null;
  heartbeat: { enabled: boolean; nextAt: string | null; lastAt: string | null; lastOutcome: string | null; skips: string | null };
  activeRuns: string[];
}

/** The gateway's own id for "no model" would read as if the network were away. */
export const modelName = (profile: ProfileFacts): string => (profile.modelId === "offline" ? "no model" : profile.modelId);

export interface Profiles {
  profiles: ProfileFacts[];
  leftOut: { profileId: string; code: string; message: string }[];
  problem: { code: string; message: string } | null;
  single: boolean;
}

export interface RunFacts {
  runId: string;
  sessionId: string;
  status: string;
  ended: boolean;
  model: string | null;
  error: { code: string; message: string; hint: string | null } | null;
}

/** One event of an assistant's journal. */
export interface JournalEvent {
  id: number;
  event: string;
  sessionId: string;
  at: string;
  runId?: string;
  seq?: number;
  data: Record<string, Json>;
}
