// Assistants: who they are, what they run on, what they know, what they do unasked.

import { type ComponentType, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { Bot, MessageSquare, Plus } from "lucide-react";
import { useCall } from "../../api/hooks";
import { modelName, type ProfileFacts, type Profiles } from "../chat/types";
import { chatPath } from "../chat/Sessions";
import { Badge, Button, Empty, ErrorNote, Note, PageHead, Skeleton } from "../../ui/parts";
import { Tabs } from "../../ui/Tabs";
import { CreateAssistant } from "./CreateAssistant";
import { Files } from "./Files";
import { Heartbeat } from "./Heartbeat";
import { Jobs } from "./Jobs";
import { Memory } from "./Memory";
import { Overview } from "./Overview";
import { Preview } from "./Preview";
import "./assistants.css";

export interface PartProps {
  profile: ProfileFacts;
}

const PARTS: { id: string; name: string; part: ComponentType<PartProps> }[] = [
  { id: "overview", name: "Overview", part: Overview },
  { id: "files", name: "Who it is", part: Files },
  { id: "context", name: "Context", part: Preview },
  { id: "memory", name: "Memory", part: Memory },
  { id: "heartbeat", name: "Heartbeat", part: Heartbeat },
  { id: "jobs", name: "Jobs", part: Jobs },
];

function One({ profile }: PartProps) {
  const [part, setPart] = useState("overview");
  const Part = PARTS.find((each) => each.id === part)?.part ?? Overview;
  return (
    <section className="card stack" aria-labelledby="assistant-title">
      <div className="row wrap apart">
        <div className="grow">
          <h2 id="assistant-title">{profile.name}</h2>
          <p className="faint small mono clip">{profile.root}</p>
        </div>
        <Link href={chatPath(profile.profileId, "main")} className="button primary">
          <MessageSquare size={16} aria-hidden /> Chat
        </Link>
      </div>
      {profile.incident && (
        <Note kind="bad" title="An incident is open.">
          See <Link href="/approvals">Approvals</Link>.
        </Note>
      )}
      <Tabs label={`About ${profile.name}`} tabs={PARTS} current={part} onChoose={setPart}>
        <Part key={profile.profileId} profile={profile} />
      </Tabs>
    </section>
  );
}

export default function Assistants() {
  const profiles = useCall<Profiles>("profile.list");
  const { profile: chosenId } = useParams<{ profile?: string }>();
  const [, go] = useLocation();
  const [making, setMaking] = useState(false);
  const list = profiles.data?.profiles ?? [];
  const chosen = list.find((each) => each.profileId === chosenId) ?? list[0];
  return (
    <div className="page">
      <PageHead title="Assistants" about="Personas with a model, a memory and the tools of your agents.">
        <Button kind="primary" icon={<Plus size={16} aria-hidden />} onClick={() => setMaking(true)}>
          New assistant
        </Button>
      </PageHead>
      {profiles.error && <ErrorNote error={profiles.error} onRetry={() => void profiles.refetch()} />}
      {profiles.isPending && !profiles.error && <Skeleton lines={5} />}
      {profiles.data?.problem && <Note kind="bad" title={profiles.data.problem.message} />}
      {(profiles.data?.leftOut ?? []).map((fault) => (
        <Note key={fault.profileId} kind="warn" title={`${fault.profileId} was left out.`}>
          {fault.message}
        </Note>
      ))}
      {profiles.data && list.length === 0 && (
        <div className="card">
          <Empty icon={<Bot size={36} strokeWidth={1.5} aria-hidden />} title="There is no assistant" action={<Button kind="primary" onClick={() => setMaking(true)}>Make one</Button>} />
        </div>
      )}
      {list.length > 1 && (
        <nav className="assistant-list" aria-label="Assistants">
          {list.map((profile) => (
            <Link key={profile.profileId} href={`/assistants/${profile.profileId}`} aria-current={profile === chosen ? "page" : undefined} className="assistant-item">
              <Bot size={18} aria-hidden />
              <span className="grow assistant-name">
                <b className="clip">{profile.name}</b>
                <span className="faint small clip">{modelName(profile)}</span>
              </span>
              {profile.activeRuns.length > 0 && <Badge tone="info" dot pulse>at work</Badge>}
            </Link>
          ))}
        </nav>
      )}
      {chosen && <One key={chosen.profileId} profile={chosen} />}
      <CreateAssistant
        open={making}
        onClose={() => setMaking(false)}
        onMade={(id) => {
          setMaking(false);
          go(`/assistants/${id}`);
        }}
      />
    </div>
  );
}
