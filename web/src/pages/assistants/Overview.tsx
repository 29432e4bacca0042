import { type FormEvent, useState } from "react";
import { Trash2 } from "lucide-react";
import { useChange } from "../../api/hooks";
import type { JsonMap } from "../../api/types";
import { Confirm } from "../../ui/Dialog";
import { Button, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { PartProps } from "./Assistants";
import { ModelChoice } from "./CreateAssistant";
import { ModelTest } from "./ModelTest";

type Update = { profileId: string; settings: JsonMap };
const LIMITS: [string, string][] = [
  ["tokensPerDay", "Tokens a day"],
  ["costPerDay", "Cost a day"],
  ["proactivePerHour", "Unasked messages an hour"],
  ["proactivePerDay", "Unasked messages a day"],
];

const numberText = (value: unknown): string => (typeof value === "number" ? String(value) : "");

function Meter({ name, used, limit }: { name: string; used: number; limit: unknown }) {
  const most = typeof limit === "number" ? limit : null;
  return (
    <div className="meter">
      <div className="row apart small">
        <span className="soft">{name}</span>
        <b>
          {used.toLocaleString()}
          {most !== null && <span className="faint"> of {most.toLocaleString()}</span>}
        </b>
      </div>
      {most !== null && (
        <div className="progress" role="img" aria-label={`${name}: ${used} of ${most}`}>
          <i style={{ width: `${Math.min(100, most ? (used / most) * 100 : 100)}%` }} />
        </div>
      )}
    </div>
  );
}

function Delete({ profileId, name }: { profileId: string; name: string }) {
  const toast = useToast();
  const [asking, setAsking] = useState(false);
  const remove = useChange<{ profileId: string }>("profile.delete", ["profile.list"]);
  return (
    <>
      <Button kind="danger" size="small" icon={<Trash2 size={14} aria-hidden />} onClick={() => setAsking(true)}>
        Delete assistant
      </Button>
      <Confirm
        open={asking}
        title={`Delete ${name}?`}
        action="Delete"
        danger
        busy={remove.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate({ profileId }, { onSuccess: () => { setAsking(false); toast.say(`${name} was deleted.`); }, onError: toast.fail })}
      >
        It is taken out of the configuration. Its folder, with all it wrote, stays.
      </Confirm>
    </>
  );
}

export function Overview({ profile }: PartProps) {
  const toast = useToast();
  const settings = profile.settings;
  const kept = profile.spending.limits;
  const known = LIMITS.filter(([key]) => key in kept);
  const [name, setName] = useState(typeof settings.name === "string" ? settings.name : "");
  const [model, setModel] = useState(typeof settings.modelId === "string" ? settings.modelId : "");
  const [limits, setLimits] = useState<Record<string, string>>(Object.fromEntries(known.map(([key]) => [key, numberText(kept[key])])));
  const update = useChange<Update>("profile.update", ["profile.list"]);

  function save(event: FormEvent) {
    event.preventDefault();
    const budgets = Object.fromEntries(known.map(([key]) => [key, limits[key] ? Number(limits[key]) : null]));
    update.mutate(
      { profileId: profile.profileId, settings: { name: name.trim() || null, modelId: model || null, budgets } },
      { onSuccess: () => toast.say("Kept; it counts from the next turn on."), onError: toast.fail },
    );
  }

  const { spending } = profile;
  return (
    <div className="assistant-overview">
      <form className="stack" onSubmit={save}>
        <Field label="Name">{(props) => <input {...props} className="input" maxLength={80} value={name} onChange={(event) => setName(event.target.value)} placeholder={profile.profileId} />}</Field>
        <ModelChoice value={model} onChange={setModel} />
        {known.length > 0 && (
          <fieldset className="limits">
            <legend className="label">Limits; empty: none</legend>
            {known.map(([key, label]) => (
              <Field key={key} label={label}>
                {(props) => <input {...props} className="input" type="number" min={0} step="any" value={limits[key] ?? ""} onChange={(event) => setLimits({ ...limits, [key]: event.target.value })} />}
              </Field>
            ))}
          </fieldset>
        )}
        <div className="row tight">
          <Button kind="primary" type="submit" busy={update.isPending}>
            Save
          </Button>
          <ModelTest profileId={profile.profileId} />
        </div>
      </form>
      <div className="stack">
        <h3>Today</h3>
        <Meter name="Tokens" used={spending.tokensToday} limit={kept.tokensPerDay} />
        <Meter name="Cost" used={spending.costToday} limit={kept.costPerDay} />
        <Meter name="Unasked messages" used={spending.proactiveToday} limit={kept.proactivePerDay} />
        <Meter name="In the last hour" used={spending.proactiveLastHour} limit={kept.proactivePerHour} />
        <div>
          <Delete profileId={profile.profileId} name={profile.name} />
        </div>
      </div>
    </div>
  );
}
