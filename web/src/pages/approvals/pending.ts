// How many approvals wait, of all assistants.

import { useCall } from "../../api/hooks";
import type { Approval } from "./types";

export const PENDING = { status: "pending", all: true } as const;

export function usePendingApprovals(asked: boolean): number {
  const waiting = useCall<Approval[]>("approval.list", PENDING, { enabled: asked }).data?.length ?? 0;
  return asked ? waiting : 0;
}
