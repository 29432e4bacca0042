import type { Tone } from "../../ui/parts";

export interface TaskRow {
  taskId: string;
  agent: string;
  tool: string;
  caller: string;
  state: string;
  ended: boolean;
  createdAt: string;
  updatedAt: string;
  message: string | null;
  fraction: number | null;
}

export interface TaskFacts extends TaskRow {
  logTail: string;
  text: string | null;
}

export interface SpentRow {
  day: string;
  profileId: string;
  calls: number;
  tokens: number;
  cost: number;
}

/** How states of tasks and of runs look. */
export const STATE_TONES: Record<string, Tone> = {
  queued: "plain",
  running: "info",
  waiting: "warn",
  input_required: "warn",
  completed: "good",
  done: "good",
  failed: "bad",
  interrupted: "bad",
  cancelled: "plain",
};
