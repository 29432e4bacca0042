// Addresses of the gateway's websockets.

export function socketUrl(path: string, query: Record<string, string | number>): string {
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url.toString();
}

export interface SocketError {
  code: string;
  message: string;
  hint?: string | null;
}

/** What a text message says if it is one of ours: an error, or the program's end. */
export function readControl(text: string): { error?: SocketError; exit?: number } | null {
  if (!text.startsWith('{"e')) return null;
  try {
    return JSON.parse(text) as { error?: SocketError; exit?: number };
  } catch {
    return null;
  }
}
