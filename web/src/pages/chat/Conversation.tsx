import { useLayoutEffect, useRef } from "react";
import { List } from "lucide-react";
import { Link } from "wouter";
import { useLink } from "../../api/hooks";
import { Badge, Button, ErrorNote, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { Composer } from "./Composer";
import { Greeting, Messages } from "./Messages";
import { Requests } from "./Requests";
import { modelName, type ProfileFacts } from "./types";
import { useThread } from "./useThread";

interface Props {
  profile: ProfileFacts;
  sessionId: string;
  onList: () => void;
}

/** Keep the end in sight while things are added, unless somebody has scrolled up to read. */
function useStickToEnd(content: unknown) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [content]);
  const onScroll = () => {
    if (!box.current) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    atEnd.current = scrollHeight - scrollTop - clientHeight < 80;
  };
  return { box, onScroll };
}

export function Conversation({ profile, sessionId, onList }: Props) {
  const toast = useToast();
  const offline = useLink() === "lost";
  const chat = useThread(profile.profileId, sessionId);
  const messages = chat.thread.data?.messages;
  const { box, onScroll } = useStickToEnd(`${messages?.length} ${chat.outgoing.length} ${JSON.stringify(chat.live)?.length}`);
  const sayAgain = () => {
    const last = messages?.findLast((message) => message.role === "user");
    if (last) chat.send(last.content);
  };
  const silent = messages?.length === 0 && chat.outgoing.length === 0 && !chat.live;
  return (
    <section className="chat-main" aria-label="Conversation">
      <header className="chat-head">
        <span className="phone-only">
          <Button kind="quiet" icon={<List size={18} />} label="Conversations" onClick={onList} />
        </span>
        <div className="grow">
          <h1 className="clip chat-title">{chat.thread.data?.title || profile.name}</h1>
          <p className="faint small clip">
            {profile.name} · {modelName(profile)}
          </p>
        </div>
        {profile.incident && <Badge tone="bad">Incident open</Badge>}
        <Link href={`/assistants/${profile.profileId}`} className="button quiet small">
          Settings
        </Link>
      </header>
      <div className="chat-scroll" ref={box} onScroll={onScroll} tabIndex={0} role="group" aria-label="Messages of this conversation">
        <div className="chat-flow">
          {chat.thread.error && !chat.thread.data && <ErrorNote error={chat.thread.error} onRetry={() => void chat.thread.refetch()} />}
          {chat.thread.isPending && !chat.thread.error && <Skeleton lines={6} />}
          {silent && <Greeting name={profile.name} />}
          {messages && <Messages messages={messages} live={chat.live} outgoing={chat.outgoing} onAgain={chat.sendAgain} onDrop={chat.drop} />}
          <Requests profileId={profile.profileId} sessionId={sessionId} onAgain={sayAgain} />
        </div>
      </div>
      <div className="composer-wrap">
        <Composer root={profile.root} running={chat.running} offline={offline} onSend={chat.send} onStop={() => chat.stop().catch(toast.fail)} />
      </div>
    </section>
  );
}
