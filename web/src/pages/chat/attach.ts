// Attachments go into the assistant's own workspace, where its file tools read them.

import { queryClient } from "../../api/hooks";
import { OfflineError, rpc, RpcError } from "../../api/rpc";
import type { Gateway } from "../../api/types";

const safeName = (name: string): string => name.replace(/[^\p{L}\p{N}._ -]+/gu, "_").replace(/^\.+/, "_").slice(-120) || "file";

/** Send a file; the name under which the assistant finds it. */
export async function attach(root: string, file: File): Promise<string> {
  const gateway = await queryClient.fetchQuery({ queryKey: ["gateway.status", {}], queryFn: () => rpc<Gateway>("gateway.status") });
  const inside = root === gateway.workspace ? "" : root.slice(gateway.workspace.length + 1);
  const name = safeName(file.name);
  const path = [...inside.split("/").filter(Boolean), "workspace", name].map(encodeURIComponent).join("/");
  let answer: Response;
  try {
    answer = await fetch(`/upload/${path}?overwrite=true`, { method: "PUT", body: file });
  } catch {
    throw new OfflineError();
  }
  if (!answer.ok) {
    const body = (await answer.json().catch(() => ({}))) as { error?: { message?: string } };
    throw new RpcError(body.error?.message ?? `The file was refused (HTTP ${answer.status}).`, `HTTP_${answer.status}`);
  }
  return name;
}
