// React's side of the two clients: cached calls, changes, pushed events.

import { useEffect, useRef, useSyncExternalStore } from "react";
import { QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { events, type HubEvent, type Link } from "./events";
import { OfflineError, RpcError, rpc } from "./rpc";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      gcTime: 30 * 60_000,
      networkMode: "always",
      refetchOnWindowFocus: true,
      retry: (count, error) => error instanceof OfflineError && count < 1,
    },
    mutations: { networkMode: "always" },
  },
});

export interface CallOptions {
  enabled?: boolean;
  refetchInterval?: number;
  staleTime?: number;
}

/** What a reading method answers, kept and refreshed. The first part of its name is its subject. */
export function useCall<T>(method: string, params: object = {}, options: CallOptions = {}) {
  const query = useQuery<T, RpcError>({
    queryKey: [method, params],
    queryFn: ({ signal }) => rpc<T>(method, params, signal),
    ...options,
  });
  // what was read before is shown as what it is; the bar says that it may be old
  const stale = query.data !== undefined && query.error instanceof OfflineError;
  return stale ? { ...query, error: null } : query;
}

/** A method that changes something; `refresh` names the methods whose answers it makes old. */
export function useChange<P extends object, R = unknown>(method: string, refresh: string[] = []) {
  const client = useQueryClient();
  return useMutation<R, RpcError, P>({
    mutationFn: (params) => rpc<R>(method, params),
    onSettled: () => Promise.all(refresh.map((name) => client.invalidateQueries({ queryKey: [name] }))),
  });
}

export function useLink(): Link {
  return useSyncExternalStore(
    (watcher) => events.watchLink(watcher),
    () => events.link,
  );
}

/** Call `listener` for every event of a topic while the component is shown. */
export function useEvents(topic: string, listener: (event: HubEvent) => void): void {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(
    () =>
      events.listen((event) => {
        if (event.topic === topic || event.topic === "stream") latest.current(event);
      }),
    [topic],
  );
}

/** Which answers an event of a topic makes old. */
const STALE_BY_TOPIC: Record<string, string[]> = {
  agents: ["agents.status", "agents.list", "tools.list", "agents.graph"],
  operations: ["operations.list", "skills.list", "skills.credentials.list", "agents.status", "agents.list", "repos.list", "agents.graph"],
  calls: ["calls.statistics", "audit.list", "tasks.list"],
  threads: ["chat.sessions"],
  approvals: ["approval.list", "approval.capabilities"],
  assistants: ["profile.list", "substrate.list", "cron.list", "memory.listLogs", "heartbeat.getFile"],
  skills: ["skills.list", "skills.credentials.list"],
  settings: ["config.get", "secrets.list", "envprofile.list", "envprofile.show", "envprofile.validate", "gateway.status"],
};

/** Refresh what events make old, and everything after a gap. Returns how to stop. */
export function refreshByEvents(): () => void {
  let link = events.link;
  const unwatch = events.watchLink(() => {
    if (link === "lost" && events.link === "live") void queryClient.invalidateQueries();
    link = events.link;
  });
  const deaf = events.listen((event) => {
    if (event.topic === "stream") {
      void queryClient.invalidateQueries();
      return;
    }
    if (event.topic === "operations" && event.kind === "event") return;
    if (event.topic === "calls" && event.kind === "progress") return;
    for (const name of STALE_BY_TOPIC[event.topic] ?? []) {
      void queryClient.invalidateQueries({ queryKey: [name] });
    }
  });
  return () => {
    unwatch();
    deaf();
  };
}
