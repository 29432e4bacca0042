// Keys that a conversation waits for: those that its last run asked for, and those that are asked for from now on.

import { useCallback, useEffect, useState } from "react";
import { useEvents } from "../../api/hooks";
import { rpc } from "../../api/rpc";
import type { KeyRow } from "../skills/types";
import type { JournalEvent, RunFacts } from "./types";

export interface Wanted {
  kind: "provider" | "skill";
  owner: string;
  name: string;
  why: string;
  /** There is one, and it was turned down. */
  refused?: boolean;
}

const wantedOf = (event: JournalEvent): Wanted => event.data as unknown as Wanted;
export const wantedId = (wanted: Wanted): string => `${wanted.kind} ${wanted.owner} ${wanted.name}`;

/** The newest of each, in order. */
const unique = (all: Wanted[]): Wanted[] => [...new Map(all.map((each) => [wantedId(each), each])).values()];

async function isKept(profileId: string, wanted: Wanted): Promise<boolean> {
  if (wanted.refused) return false;
  if (wanted.kind === "skill") {
    const keys = await rpc<KeyRow[]>("skills.credentials.list", { profileId, skillId: wanted.owner });
    return keys.some((key) => key.name === wanted.name && key.present);
  }
  const keys = await rpc<{ providers: Record<string, string[]> }>("provider.credentials.list", { profileId });
  return keys.providers[wanted.owner]?.includes(wanted.name) ?? false;
}

async function readWanted(profileId: string, sessionId: string): Promise<Wanted[]> {
  const [last] = await rpc<RunFacts[]>("agent.runs", { profileId, sessionId, limit: 1 });
  if (!last) return [];
  const told = await rpc<JournalEvent[]>("agent.events", { profileId, sessionId, runId: last.runId, limit: 1000 });
  const asked = unique(told.filter((event) => event.event === "credential_needed").map(wantedOf));
  const kept = await Promise.all(asked.map((each) => isKept(profileId, each)));
  return asked.filter((_, index) => !kept[index]);
}

export function useWanted(profileId: string, sessionId: string) {
  const [wanted, setWanted] = useState<Wanted[]>([]);
  useEffect(() => {
    let gone = false;
    readWanted(profileId, sessionId).then((found) => {
      if (!gone) setWanted((before) => unique([...found, ...before]));
    }, () => undefined);
    return () => {
      gone = true;
    };
  }, [profileId, sessionId]);
  useEvents("assistants", (event) => {
    if (event.kind !== "credential_needed" || event.profileId !== profileId || event.sessionId !== sessionId) return;
    const asked = wantedOf(event.data as unknown as JournalEvent);
    setWanted((before) => unique([...before, asked]));
  });
  const drop = useCallback((gone: Wanted) => setWanted((before) => before.filter((each) => wantedId(each) !== wantedId(gone))), []);
  return { wanted, drop };
}
