// What was read, kept in this browser so that it can be read again while the gateway is away. Only answers of the
// methods named here are kept: no secret, no name of one, no settings. All of it goes when nobody is logged in.

import type { QueryClient } from "@tanstack/react-query";

const DATABASE = "ploinky";
const STORE = "answers";
const MOST_KEPT = 300;
const WRITE_AFTER_MS = 150;

const KEPT = new Set([
  "gateway.status",
  "agents.status",
  "agents.list",
  "agents.graph",
  "tools.list",
  "envprofile.list",
  "profile.list",
  "chat.sessions",
  "chat.getThread",
  "skills.list",
  "calls.statistics",
  "usage.byDay",
  "operations.list",
]);

interface Answer {
  /** The query's key as JSON. */
  key: string;
  data: unknown;
  at: number;
}

function opened(): Promise<IDBDatabase> {
  return new Promise((done, fail) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error ?? new Error("no database"));
  });
}

async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T> | undefined): Promise<T | undefined> {
  const database = await opened();
  try {
    return await new Promise<T | undefined>((done, fail) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request?.result);
      transaction.onabort = () => fail(transaction.error ?? new Error("aborted"));
    });
  } finally {
    database.close();
  }
}

const readAll = (): Promise<Answer[]> => within<Answer[]>("readonly", (store) => store.getAll()).then((all) => all ?? []);

/** Put what was kept into `client`, where it has nothing newer, as stale. When the newest of it was read, in milliseconds; null if there is nothing. */
export async function recall(client: QueryClient): Promise<number | null> {
  try {
    const all = await readAll();
    for (const { key, data } of all) {
      client.setQueryData(JSON.parse(key) as unknown[], (before: unknown) => before ?? data, { updatedAt: 0 });
    }
    return all.length ? Math.max(...all.map((each) => each.at)) : null;
  } catch {
    return null; // a browser that keeps nothing (private windows) starts with nothing
  }
}

/** Forget everything, as for somebody who leaves. */
export function forget(): Promise<void> {
  waiting.clear();
  return within("readwrite", (store) => void store.clear()).then(
    () => undefined,
    () => undefined,
  );
}

const waiting = new Map<string, Answer>();

async function write(): Promise<void> {
  const answers = [...waiting.values()];
  waiting.clear();
  await within("readwrite", (store) => answers.forEach((answer) => store.put(answer)) as undefined);
  const all = await readAll();
  const old = all.sort((one, other) => other.at - one.at).slice(MOST_KEPT);
  if (old.length) await within("readwrite", (store) => old.forEach(({ key }) => store.delete(key)) as undefined);
}

/** Keep what `client` reads from now on. Returns how to stop. */
export function keepAnswers(client: QueryClient): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = client.getQueryCache().subscribe((event) => {
    if (event.type !== "updated" || event.action.type !== "success" || event.action.manual) return;
    const { queryKey, state } = event.query;
    if (!KEPT.has(String(queryKey[0]))) return;
    const key = JSON.stringify(queryKey);
    waiting.set(key, { key, data: state.data, at: state.dataUpdatedAt });
    timer ??= setTimeout(() => {
      timer = undefined;
      void write().catch(() => undefined);
    }, WRITE_AFTER_MS);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}
