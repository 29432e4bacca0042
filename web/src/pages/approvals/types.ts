import type { JsonMap } from "../../api/types";

export interface Approval {
  profileId: string;
  id: string;
  runId: string;
  sessionId: string;
  tool: string;
  arguments: JsonMap;
  digest: string;
  why: string;
  risk: string;
  status: "pending" | "approved" | "denied" | "expired";
  createdAt: string;
  expiresAt: string;
  resolvedAt: string | null;
  resolvedBy: string | null;
  reason: string | null;
}

export interface Grant {
  id: string;
  tool: string;
  digest: string | null;
  pattern: Record<string, string> | null;
  usesLeft: number | null;
  expiresAt: string | null;
  createdAt: string;
  createdBy: string;
}

export interface Capabilities {
  profileId: string;
  tools: { name: string; risk: string; agent: string | null; description: string }[];
  grants: Grant[];
  incident: { id: string; reason: string; openedAt: string; openedBy: string } | null;
}
