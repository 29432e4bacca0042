// The one client of JSON-RPC. A call that fails throws an RpcError, which says what to do next.

import { takeEarly } from "./early";

export class RpcError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly hint?: string,
    readonly field?: string,
    readonly auditId?: string,
  ) {
    super(message);
  }
}

/** The gateway cannot be reached; what is on the screen may be old. */
export class OfflineError extends RpcError {
  constructor() {
    super("The gateway cannot be reached.", "OFFLINE", "Is it running? Try: ploinky start");
  }
}

interface ErrorBody {
  message: string;
  data?: { code?: string; hint?: string; field?: string; auditId?: string };
}

type Listener = () => void;
const loggedOut = new Set<Listener>();

/** Be told when a call finds that nobody is logged in any more. */
export function onLoggedOut(listener: Listener): () => void {
  loggedOut.add(listener);
  return () => loggedOut.delete(listener);
}

/** Somebody found out that nobody is logged in any more. */
export function tellLoggedOut(): void {
  loggedOut.forEach((listener) => listener());
}

let lastId = 0;

const withoutParams = (params: object): boolean => Object.keys(params).length === 0;

const ask = (method: string, params: object, signal?: AbortSignal): Promise<Response> =>
  fetch("/rpc", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: lastId, method, params }),
    signal,
  });

export async function rpc<T>(method: string, params: object = {}, signal?: AbortSignal): Promise<T> {
  lastId += 1;
  let answer: Response;
  try {
    answer = await ((withoutParams(params) && takeEarly(method)) || ask(method, params, signal));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new OfflineError();
  }
  if (answer.status === 401) {
    tellLoggedOut();
    throw new RpcError("You are not logged in any more.", "NOT_LOGGED_IN");
  }
  if (!answer.ok) {
    throw new RpcError(`The gateway answered with HTTP ${answer.status}.`, `HTTP_${answer.status}`);
  }
  const body = (await answer.json()) as { result?: T; error?: ErrorBody };
  if (body.error) {
    const { message, data } = body.error;
    throw new RpcError(message, data?.code ?? "FAILED", data?.hint, data?.field, data?.auditId);
  }
  return body.result as T;
}

export interface Session {
  mode: "token" | "password" | "oidc" | "none";
  loggedIn: boolean;
}

export async function readSession(): Promise<Session> {
  try {
    const answer = await (takeEarly("session") ?? fetch("/session", { cache: "no-store" }));
    if (answer.ok) return (await answer.json()) as Session;
  } catch {
    // told below
  }
  throw new OfflineError();
}

export async function logIn(proof: { token: string } | { password: string }): Promise<void> {
  let answer: Response;
  try {
    answer = await fetch("/login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(proof),
    });
  } catch {
    throw new OfflineError();
  }
  if (answer.ok) return;
  if (answer.status === 429) {
    const wait = answer.headers.get("retry-after") ?? "60";
    throw new RpcError("Too many wrong tries.", "TOO_MANY", `Wait ${wait} seconds and try again.`);
  }
  const body = (await answer.json().catch(() => ({}))) as { error?: ErrorBody };
  throw new RpcError(body.error?.message ?? "That was refused.", `HTTP_${answer.status}`);
}

export async function logOut(): Promise<void> {
  await fetch("/logout", { method: "POST" }).catch(() => undefined);
  tellLoggedOut();
}
