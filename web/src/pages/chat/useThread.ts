// One conversation: what is kept, what is being said, what is on its way.

import { useCallback, useEffect, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useCall, useEvents, useLink } from "../../api/hooks";
import { rpc, RpcError } from "../../api/rpc";
import { fold, type LiveRun } from "./live";
import type { JournalEvent, RunFacts, Thread } from "./types";

export interface Outgoing {
  id: string;
  text: string;
  error: RpcError | null;
}

/** An id that is new everywhere; `crypto.randomUUID` is missing where the page comes without TLS. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function readRun(profileId: string, sessionId: string): Promise<LiveRun | null> {
  const [last] = await rpc<RunFacts[]>("agent.runs", { profileId, sessionId, limit: 1 });
  if (!last || last.ended) return null;
  const events = await rpc<JournalEvent[]>("agent.events", { profileId, sessionId, runId: last.runId, limit: 1000 });
  return events.reduce<LiveRun | null>(fold, null);
}

export function useThread(profileId: string, sessionId: string) {
  const client = useQueryClient();
  const key = { profileId, sessionId };
  const thread = useCall<Thread>("chat.getThread", key);
  const [live, setLive] = useState<LiveRun | null>(null);
  const [outgoing, setOutgoing] = useState<Outgoing[]>([]);

  const reload = useCallback(
    () => void client.invalidateQueries({ queryKey: ["chat.getThread", { profileId, sessionId }] }),
    [client, profileId, sessionId],
  );
  const catchUp = useCallback(() => {
    readRun(profileId, sessionId).then(setLive, () => undefined);
  }, [profileId, sessionId]);

  const link = useLink();
  useEffect(() => {
    if (link !== "lost") catchUp();
  }, [catchUp, link]);
  useEvents("runs", (event) => {
    if (event.topic === "stream") return catchUp();
    if (event.profileId !== profileId || event.sessionId !== sessionId) return;
    const told = event.data as unknown as JournalEvent;
    setLive((before) => fold(before, told));
    if (told.event === "done") reload();
  });
  useEvents("threads", (event) => {
    if (event.profileId === profileId && event.sessionId === sessionId) reload();
  });

  const kept = thread.data?.messages;
  useEffect(() => {
    const ids = new Set(kept?.map((message) => message.id));
    setOutgoing((before) => (before.some((each) => ids.has(each.id)) ? before.filter((each) => !ids.has(each.id)) : before));
  }, [kept]);

  async function deliver(message: Outgoing): Promise<void> {
    try {
      await rpc("chat.send", { profileId, sessionId, text: message.text, messageId: message.id });
      reload();
    } catch (caught) {
      const error = caught instanceof RpcError ? caught : new RpcError(String(caught), "FAILED");
      setOutgoing((before) => before.map((each) => (each.id === message.id ? { ...each, error } : each)));
    }
  }

  return {
    thread,
    live: live && (live.status !== "ended" || live.error || !isKept(live, thread.data)) ? live : null,
    running: live !== null && live.status !== "ended",
    outgoing,
    send: (text: string) => {
      const message = { id: newId(), text, error: null };
      setLive((before) => (before?.status === "ended" ? null : before));
      setOutgoing((before) => [...before, message]);
      void deliver(message);
    },
    sendAgain: (message: Outgoing) => {
      setOutgoing((before) => before.map((each) => (each.id === message.id ? { ...each, error: null } : each)));
      void deliver(message);
    },
    drop: (id: string) => setOutgoing((before) => before.filter((each) => each.id !== id)),
    stop: () => (live ? rpc("agent.cancel", { profileId, runId: live.runId }) : Promise.resolve()),
  };
}

/** Whether the thread has all that the run said, so that it need not be shown beside it. */
function isKept(run: LiveRun, thread: Thread | undefined): boolean {
  const ids = new Set(thread?.messages.map((message) => message.id));
  return run.items.every((item) => item.kind !== "text" || ids.has(item.id));
}
