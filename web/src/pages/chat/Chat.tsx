// Chat: assistants and conversations at the side, one conversation in the middle, the same on every device.

import { useEffect, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { Bot } from "lucide-react";
import { useCall } from "../../api/hooks";
import { Empty, ErrorNote, PageSkeleton } from "../../ui/parts";
import { Conversation } from "./Conversation";
import { chatPath, Sessions } from "./Sessions";
import type { Profiles } from "./types";
import "./chat.css";

export default function Chat() {
  const profiles = useCall<Profiles>("profile.list");
  const { profile, session } = useParams<{ profile?: string; session?: string }>();
  const [, go] = useLocation();
  const [listOpen, setListOpen] = useState(false);
  const first = profiles.data?.profiles[0]?.profileId;
  const known = profiles.data?.profiles.find((each) => each.profileId === profile);

  useEffect(() => {
    if (first && (!known || !session)) go(chatPath(known?.profileId ?? first, session ?? "main"), { replace: true });
  }, [first, known, session, go]);

  if (profiles.error && !profiles.data) {
    return (
      <div className="page">
        <ErrorNote error={profiles.error} onRetry={() => void profiles.refetch()} />
      </div>
    );
  }
  if (!profiles.data) return <PageSkeleton />;
  if (profiles.data.profiles.length === 0) {
    return (
      <div className="page">
        <Empty icon={<Bot size={36} strokeWidth={1.5} aria-hidden />} title="There is no assistant">
          {profiles.data.problem?.message} <Link href="/assistants">Make one</Link>.
        </Empty>
      </div>
    );
  }
  if (!known || !session) return <PageSkeleton />;
  return (
    <div className={listOpen ? "chat open" : "chat"}>
      <Sessions
        profiles={profiles.data}
        profileId={known.profileId}
        sessionId={session}
        onGo={(profileId, sessionId) => {
          setListOpen(false);
          go(chatPath(profileId, sessionId));
        }}
      />
      <Conversation key={`${known.profileId} ${session}`} profile={known} sessionId={session} onList={() => setListOpen(true)} />
    </div>
  );
}
