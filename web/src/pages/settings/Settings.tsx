// Settings: where the gateway listens, how people log in, models and keys, policy, profiles and secrets.

import { type ComponentType, useState } from "react";
import { useLocation, useParams } from "wouter";
import { RotateCw } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { ConfigAnswer } from "../../api/types";
import { Button, ErrorNote, Note, PageHead, Skeleton } from "../../ui/parts";
import { Tabs } from "../../ui/Tabs";
import { useToast } from "../../ui/toast";
import { Environment } from "./Environment";
import { Health } from "./Health";
import { Models } from "./Models";
import { Network } from "./Network";
import { Policy } from "./Policy";
import { Repositories } from "./Repositories";
import "./settings.css";

export interface PartProps {
  config: ConfigAnswer;
}

const PARTS: { id: string; name: string; part: ComponentType<PartProps> }[] = [
  { id: "gateway", name: "Gateway", part: Network },
  { id: "environment", name: "Profiles and secrets", part: Environment },
  { id: "models", name: "Models and keys", part: Models },
  { id: "policy", name: "Policy", part: Policy },
  { id: "repositories", name: "Repositories", part: Repositories },
  { id: "health", name: "Health", part: Health },
];

function RestartNote({ config }: PartProps) {
  const toast = useToast();
  const [asked, setAsked] = useState(false);
  const restart = useChange<object>("gateway.restart");
  if (config.restartNeeded.length === 0) return null;
  return (
    <Note kind="warn" title={`What you changed (${config.restartNeeded.join(", ")}) counts once the gateway is started anew.`}>
      <p>Agents go on running. If its address changes, open the new one afterwards.</p>
      <p>
        <Button
          size="small"
          icon={<RotateCw size={14} aria-hidden />}
          busy={restart.isPending || asked}
          onClick={() => restart.mutate({}, { onSuccess: () => { setAsked(true); toast.say("The gateway starts anew.", "info"); }, onError: toast.fail })}
        >
          Start it anew
        </Button>
      </p>
    </Note>
  );
}

export default function SettingsPage() {
  const { part = "gateway" } = useParams<{ part?: string }>();
  const [, go] = useLocation();
  const config = useCall<ConfigAnswer>("config.get");
  const chosen = PARTS.find((each) => each.id === part) ?? PARTS[0];
  const Part = chosen?.part ?? Network;
  return (
    <div className="page">
      <PageHead title="Settings" about="Kept in .ploinky/config.json; secrets are kept apart and never shown." />
      {config.error && <ErrorNote error={config.error} onRetry={() => void config.refetch()} />}
      {config.isPending && !config.error && <Skeleton lines={6} />}
      {config.data && (
        <>
          <RestartNote config={config.data} />
          <Tabs label="Settings" tabs={PARTS} current={chosen?.id ?? "gateway"} onChoose={(id) => go(`/settings/${id}`)}>
            <Part config={config.data} />
          </Tabs>
        </>
      )}
    </div>
  );
}
