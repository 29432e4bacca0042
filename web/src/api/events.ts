// The one client of pushed events: a single stream for the whole app, which comes back by itself.

import { readSession, tellLoggedOut } from "./rpc";

export interface HubEvent {
  topic: string;
  kind: string;
  at: string;
  agent?: string;
  profileId?: string;
  sessionId?: string;
  data: Record<string, unknown>;
}

const AGAIN_MS = 1500;

export type Link = "connecting" | "live" | "lost";
type Listener = (event: HubEvent) => void;

export const TOPICS = [
  "agents", "usage", "operations", "calls", "runs", "threads",
  "approvals", "assistants", "skills", "settings", "stream",
] as const;

class EventClient {
  private source: EventSource | null = null;
  private listeners = new Set<Listener>();
  private watchers = new Set<() => void>();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private lastId = "";
  private since = 0;
  link: Link = "connecting";
  /** When the stream was last heard, in milliseconds; for "as of" where we are offline. */
  heardAt = Date.now();

  constructor() {
    // a network that goes tells no stream: without this the page would believe itself live for minutes
    window.addEventListener("offline", () => this.source && this.lose());
    window.addEventListener("online", () => this.link === "lost" && this.open());
  }

  open(): void {
    clearTimeout(this.retry);
    if (this.source) return;
    const query = this.lastId ? `?after=${encodeURIComponent(this.lastId)}` : "";
    const source = new EventSource(`/events${query}`);
    this.source = source;
    source.onopen = () => {
      this.since += 1;
      this.become("live");
    };
    source.onerror = () => this.lose();
    for (const topic of TOPICS) {
      source.addEventListener(topic, (message) => this.take(message as MessageEvent<string>));
    }
  }

  /** Begin offline, with what was read at `at`. */
  beginLost(at: number): void {
    this.become("lost");
    this.heardAt = at;
  }

  close(): void {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
    this.become("connecting");
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  watchLink(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private take(message: MessageEvent<string>): void {
    if (message.lastEventId) this.lastId = message.lastEventId;
    this.heardAt = Date.now();
    const event = JSON.parse(message.data) as HubEvent;
    this.listeners.forEach((listener) => listener(event));
  }

  /** The browser would try again by itself, but not after an HTTP error; so we do. */
  private lose(): void {
    this.source?.close();
    this.source = null;
    this.become("lost");
    clearTimeout(this.retry);
    this.retry = setTimeout(() => void this.again(), AGAIN_MS);
  }

  /** A stream does not say why it was refused; whether somebody is logged in yet is asked first. */
  private async again(): Promise<void> {
    try {
      const session = await readSession();
      if (session.loggedIn) this.open();
      else tellLoggedOut();
    } catch {
      this.retry = setTimeout(() => void this.again(), AGAIN_MS);
    }
  }

  private become(link: Link): void {
    if (link === "live") this.heardAt = Date.now();
    if (this.link === link) return;
    this.link = link;
    this.watchers.forEach((watcher) => watcher());
  }
}

export const events = new EventClient();
