// Activity: calls of tools, tasks and runs under way, what assistants spent.

import type { ComponentType } from "react";
import { useLocation, useParams } from "wouter";
import { PageHead } from "../../ui/parts";
import { Tabs } from "../../ui/Tabs";
import { CallsPart } from "./CallsPart";
import { SpendingPart } from "./SpendingPart";
import { TasksPart } from "./TasksPart";
import "./activity.css";

const PARTS: { id: string; name: string; part: ComponentType }[] = [
  { id: "calls", name: "Calls", part: CallsPart },
  { id: "tasks", name: "Tasks and runs", part: TasksPart },
  { id: "spending", name: "Tokens and cost", part: SpendingPart },
];

export default function ActivityPage() {
  const { part } = useParams<{ part?: string }>();
  const [, go] = useLocation();
  const here = PARTS.find((each) => each.id === part) ?? PARTS[0]!;
  const Part = here.part;
  return (
    <div className="page">
      <PageHead title="Activity" about="What was called, what is under way, and what it costs." />
      <Tabs label="Activity" tabs={PARTS} current={here.id} onChoose={(id) => go(`/activity/${id}`, { replace: true })}>
        <Part />
      </Tabs>
    </div>
  );
}
