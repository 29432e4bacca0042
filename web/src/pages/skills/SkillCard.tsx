import { type FormEvent, useState } from "react";
import { Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import { plural } from "../../api/text";
import { Confirm } from "../../ui/Dialog";
import { Badge, Button, Field, Note } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { KeyRow, Skill } from "./types";

interface Props {
  skill: Skill;
  profileId: string;
}

function Key({ skill, profileId, row }: Props & { row: KeyRow }) {
  const toast = useToast();
  const [value, setValue] = useState("");
  const { present } = row;
  const names = { profileId, skillId: skill.id, keyName: row.name };
  const set = useChange<object>("skills.credentials.set", ["skills.credentials.list"]);
  const remove = useChange<object>("skills.credentials.delete", ["skills.credentials.list"]);

  function save(event: FormEvent) {
    event.preventDefault();
    set.mutate({ ...names, value }, { onSuccess: () => toast.say(`${row.name} is kept.`), onError: toast.fail, onSettled: () => setValue("") });
  }

  return (
    <form className="key-row" onSubmit={save}>
      <Field label={<span className="mono">{row.name}</span>}>
        {(props) => (
          <input {...props} className="input" type="password" autoComplete="off" required value={value} placeholder={present ? "••••••••" : "not set"} onChange={(event) => setValue(event.target.value)} />
        )}
      </Field>
      <Button size="small" type="submit" label={`Set ${row.name}`} busy={set.isPending} disabled={!value}>
        Set
      </Button>
      {present && (
        <Button size="small" kind="quiet" icon={<Trash2 size={15} />} label={`Delete key ${row.name}`} onClick={() => remove.mutate(names, { onSuccess: () => toast.say(`${row.name} was deleted.`), onError: toast.fail })} />
      )}
    </form>
  );
}

/** An installed skill and its keys: set and deleted here, shown never. */
export function SkillCard({ skill, profileId }: Props) {
  const toast = useToast();
  const [asking, setAsking] = useState(false);
  const keys = useCall<KeyRow[]>("skills.credentials.list", { profileId, skillId: skill.id });
  const remove = useChange<object>("skills.uninstall", ["skills.list"]);
  return (
    <section className="card stack" aria-label={`Skill ${skill.id}`}>
      <div className="row apart top">
        <div className="grow">
          <h2>{skill.id}</h2>
          <p className="faint small clip">
            {skill.source ?? ""} · {plural(skill.files, "file")}
          </p>
        </div>
        {skill.changed.length > 0 ? <Badge tone="bad">changed</Badge> : <Badge tone="good">offered</Badge>}
      </div>
      {skill.description && <p className="soft">{skill.description}</p>}
      {skill.changed.length > 0 && (
        <Note kind="warn" title="Files differ from what was installed, so it is not offered.">
          {skill.changed.join(", ")}
        </Note>
      )}
      {(keys.data ?? []).map((row) => (
        <Key key={row.name} skill={skill} profileId={profileId} row={row} />
      ))}
      <div>
        <Button size="small" kind="danger" icon={<Trash2 size={14} aria-hidden />} onClick={() => setAsking(true)}>
          Remove skill
        </Button>
      </div>
      <Confirm
        open={asking}
        title={`Remove ${skill.id}?`}
        action="Remove"
        danger
        busy={remove.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate({ profileId, skillId: skill.id }, { onSuccess: () => { setAsking(false); toast.say(`${skill.id} was removed.`); }, onError: toast.fail })}
      >
        Its files go. Its keys stay until you delete them.
      </Confirm>
    </section>
  );
}
