import { useState } from "react";
import { Link } from "wouter";
import { Plus, Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import { ago, plural } from "../../api/text";
import { Confirm } from "../../ui/Dialog";
import { Button, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { Profiles, SessionRow } from "./types";
import { newId } from "./useThread";

interface Props {
  profiles: Profiles;
  profileId: string;
  sessionId: string;
  onGo: (profileId: string, sessionId: string) => void;
}

export const chatPath = (profileId: string, sessionId: string): string => `/chat/${encodeURIComponent(profileId)}/${encodeURIComponent(sessionId)}`;

export function Sessions({ profiles, profileId, sessionId, onGo }: Props) {
  const toast = useToast();
  const sessions = useCall<SessionRow[]>("chat.sessions", { profileId });
  const [going, setGoing] = useState<SessionRow | null>(null);
  const remove = useChange<{ profileId: string; sessionId: string }>("thread.delete", ["chat.sessions", "chat.getThread"]);
  return (
    <aside className="chat-side" aria-label="Assistants and conversations">
      <Field label="Assistant">
        {(props) => (
          <select {...props} className="input" value={profileId} onChange={(event) => onGo(event.target.value, "main")}>
            {profiles.profiles.map((profile) => (
              <option key={profile.profileId} value={profile.profileId}>
                {profile.name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Button icon={<Plus size={16} aria-hidden />} onClick={() => onGo(profileId, `web-${newId().slice(0, 10)}`)}>
        New conversation
      </Button>
      {sessions.error && <ErrorNote error={sessions.error} />}
      {sessions.isPending && !sessions.error && <Skeleton />}
      <ul className="plain">
        {(sessions.data ?? []).map((row) => (
          <li key={row.sessionId} className={row.sessionId === sessionId ? "session here" : "session"}>
            <Link href={chatPath(profileId, row.sessionId)} aria-current={row.sessionId === sessionId ? "page" : undefined} onClick={() => onGo(profileId, row.sessionId)}>
              <span className="clip">{row.title || row.sessionId}</span>
              <span className="faint small clip">
                {ago(row.updatedAt)} ago · {plural(row.count, "message")}
                {row.channelKind !== "web" && ` · ${row.channelKind}`}
              </span>
            </Link>
            <Button kind="quiet" size="small" icon={<Trash2 size={14} />} label={`Delete conversation ${row.title || row.sessionId}`} onClick={() => setGoing(row)} />
          </li>
        ))}
      </ul>
      <Confirm
        open={going !== null}
        title="Delete this conversation?"
        action="Delete"
        danger
        busy={remove.isPending}
        onClose={() => setGoing(null)}
        onConfirm={() =>
          going &&
          remove.mutate(
            { profileId, sessionId: going.sessionId },
            {
              onSuccess: () => {
                toast.say("The conversation was deleted.");
                setGoing(null);
              },
              onError: toast.fail,
            },
          )
        }
      >
        All messages of “{going?.title || going?.sessionId}” go, on every device.
      </Confirm>
    </aside>
  );
}
