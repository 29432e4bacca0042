// The words and colours of an agent's state.

import type { AgentStatus } from "../../api/types";
import type { Tone } from "../../ui/parts";

export interface Look {
  tone: Tone;
  word: string;
  moving?: boolean;
}

const BY_STATE: Record<string, Look> = {
  FAILED: { tone: "bad", word: "Failed" },
  CREATING: { tone: "info", word: "Being made", moving: true },
  STARTING: { tone: "info", word: "Starting", moving: true },
  STOPPING: { tone: "info", word: "Stopping", moving: true },
};

const BY_HEALTH: Record<string, Look> = {
  ready: { tone: "good", word: "Ready" },
  "not ready": { tone: "warn", word: "Not ready" },
  starting: { tone: "info", word: "Starting", moving: true },
  restarting: { tone: "warn", word: "Restarting", moving: true },
};

export function lookOf(agent: Pick<AgentStatus, "state" | "health">): Look {
  const stopped: Look = { tone: "plain", word: "Stopped" };
  return BY_STATE[agent.state] ?? (agent.state === "RUNNING" ? BY_HEALTH[agent.health] : undefined) ?? stopped;
}

export const runs = (agent: AgentStatus): boolean => ["RUNNING", "STARTING", "CREATING"].includes(agent.state);
