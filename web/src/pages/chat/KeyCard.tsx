import { type FormEvent, useId, useState } from "react";
import { KeyRound } from "lucide-react";
import { useChange } from "../../api/hooks";
import { Button, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { Wanted } from "./wanted";

interface Props {
  profileId: string;
  wanted: Wanted;
  onDone: () => void;
  /** Say the last message once more, now that the key is there. */
  onAgain: () => void;
}

const SETTERS = { provider: "provider.credentials.set", skill: "skills.credentials.set" } as const;

/** A key that is asked for in the flow. Its value goes to the gateway and is forgotten here at once. */
export function KeyCard({ profileId, wanted, onDone, onAgain }: Props) {
  const toast = useToast();
  const title = useId();
  const [value, setValue] = useState("");
  const set = useChange<object>(SETTERS[wanted.kind], ["skills.credentials.list", "provider.credentials.list"]);
  const owner = wanted.kind === "provider" ? { providerId: wanted.owner } : { skillId: wanted.owner };

  function save(event: FormEvent) {
    event.preventDefault();
    set.mutate(
      { profileId, ...owner, keyName: wanted.name, value },
      {
        onSuccess: () => {
          toast.say(`${wanted.name} is kept.`);
          onDone();
          onAgain();
        },
        onError: toast.fail,
        onSettled: () => setValue(""),
      },
    );
  }

  return (
    <form className="card ask-card stack" onSubmit={save} aria-labelledby={title}>
      <div className="row tight">
        <KeyRound size={17} aria-hidden className="warn-text" />
        <h2>
          {wanted.refused ? "Another key is needed: " : "A key is needed: "}
          <span id={title}>
            <span className="mono">{wanted.name}</span> of {wanted.owner}
          </span>
        </h2>
      </div>
      <p className="soft">{wanted.why}</p>
      <Field label={`${wanted.name} of ${wanted.owner}`} help="It is kept encrypted on the gateway's machine, and never shown again; the assistant does not see it.">
        {(props) => <input {...props} className="input" type="password" autoComplete="off" required value={value} onChange={(event) => setValue(event.target.value)} />}
      </Field>
      <div className="row tight">
        <Button kind="primary" type="submit" busy={set.isPending}>
          Keep it and ask again
        </Button>
        <Button onClick={onDone}>Not now</Button>
      </div>
    </form>
  );
}
