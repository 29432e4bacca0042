// Skills: what assistants learnt to do; installing one is judged first, and shown whole before anything runs.

import { useState } from "react";
import { Link } from "wouter";
import { Sparkles } from "lucide-react";
import { useCall } from "../../api/hooks";
import { Empty, ErrorNote, Field, PageHead, Skeleton } from "../../ui/parts";
import type { Profiles } from "../chat/types";
import { Install } from "./Install";
import { SkillCard } from "./SkillCard";
import type { Skill } from "./types";
import "./skills.css";

export default function Skills() {
  const profiles = useCall<Profiles>("profile.list");
  const [chosen, setChosen] = useState("");
  const profileId = chosen || profiles.data?.profiles[0]?.profileId || "";
  const skills = useCall<Skill[]>("skills.list", { profileId }, { enabled: profileId !== "" });
  return (
    <div className="page">
      <PageHead title="Skills" about="What an assistant learnt to do, from a folder, an archive or a repository.">
        {(profiles.data?.profiles.length ?? 0) > 1 && (
          <Field label={<span className="hidden-text">Assistant</span>}>
            {(props) => (
              <select {...props} className="input" value={profileId} onChange={(event) => setChosen(event.target.value)}>
                {profiles.data?.profiles.map((profile) => (
                  <option key={profile.profileId} value={profile.profileId}>
                    {profile.name}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
      </PageHead>
      {profileId && <Install key={profileId} profileId={profileId} />}
      {profiles.error && <ErrorNote error={profiles.error} onRetry={() => void profiles.refetch()} />}
      {skills.error && <ErrorNote error={skills.error} onRetry={() => void skills.refetch()} />}
      {skills.isPending && !skills.error && !profiles.error && profiles.data?.profiles.length !== 0 && <Skeleton lines={4} />}
      {profiles.data?.profiles.length === 0 && (
        <div className="card">
          <Empty icon={<Sparkles size={36} strokeWidth={1.5} aria-hidden />} title="There is no assistant">
            Skills belong to one. <Link href="/assistants">Make one</Link> first.
          </Empty>
        </div>
      )}
      {skills.data?.length === 0 && (
        <div className="card">
          <Empty icon={<Sparkles size={36} strokeWidth={1.5} aria-hidden />} title="No skill is installed">
            Give the address of one above. Nothing runs before you have seen what would.
          </Empty>
        </div>
      )}
      <div className="skill-grid">
        {(skills.data ?? []).map((skill) => (
          <SkillCard key={skill.id} skill={skill} profileId={profileId} />
        ))}
      </div>
    </div>
  );
}
