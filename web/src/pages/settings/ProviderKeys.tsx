import { type FormEvent, useState } from "react";
import { Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { Profiles } from "../chat/types";
import { Button, ErrorNote, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { providerName, PROVIDERS } from "./providers";

interface Keys {
  providers: Record<string, string[]>;
}

const STALE = ["provider.credentials.list"];

/** Keys of providers, per assistant: set and deleted here, shown never. */
export function ProviderKeys() {
  const toast = useToast();
  const profiles = useCall<Profiles>("profile.list");
  const [chosen, setChosen] = useState("");
  const [providerId, setProviderId] = useState("openai-compatible");
  const [value, setValue] = useState("");
  const profileId = chosen || profiles.data?.profiles[0]?.profileId || "";
  const keys = useCall<Keys>("provider.credentials.list", { profileId }, { enabled: profileId !== "" });
  const set = useChange<object>("provider.credentials.set", STALE);
  const remove = useChange<object>("provider.credentials.delete", STALE);
  const rows = Object.entries(keys.data?.providers ?? {}).flatMap(([provider, names]) => names.map((name) => ({ provider, name })));

  function save(event: FormEvent) {
    event.preventDefault();
    set.mutate({ profileId, providerId, value }, { onSuccess: () => toast.say(`A key for ${providerName(providerId)} is kept.`), onError: toast.fail, onSettled: () => setValue("") });
  }

  return (
    <section className="card flush" aria-labelledby="keys-title">
      <div className="card-head">
        <div>
          <h2 id="keys-title">Keys of providers</h2>
          <p className="soft small">Kept encrypted, one set per assistant. A model uses one by the key profile:PROVIDER.</p>
        </div>
      </div>
      <form className="rule-form" onSubmit={save}>
        <Field label="Assistant">
          {(props) => (
            <select {...props} className="input" value={profileId} onChange={(event) => setChosen(event.target.value)}>
              {(profiles.data?.profiles ?? []).map((profile) => (
                <option key={profile.profileId} value={profile.profileId}>
                  {profile.name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="For">
          {(props) => (
            <select {...props} className="input" value={providerId} onChange={(event) => setProviderId(event.target.value)}>
              {PROVIDERS.map((provider) => (
                <option key={provider.id} value={provider.id}>
                  {provider.name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Provider key">
          {(props) => <input {...props} className="input" type="password" autoComplete="off" required value={value} onChange={(event) => setValue(event.target.value)} />}
        </Field>
        <Button kind="primary" type="submit" busy={set.isPending}>
          Set key
        </Button>
      </form>
      {keys.error && <ErrorNote error={keys.error} />}
      <ul className="plain key-list">
        {rows.map(({ provider, name }) => (
          <li key={`${provider} ${name}`} className="row tight">
            <b>{providerName(provider)}</b>
            <span className="mono faint grow">{name}</span>
            <Button size="small" kind="quiet" icon={<Trash2 size={15} />} label={`Delete ${name} of ${provider}`} onClick={() => remove.mutate({ profileId, providerId: provider, keyName: name }, { onSuccess: () => toast.say("The key was deleted."), onError: toast.fail })} />
          </li>
        ))}
      </ul>
    </section>
  );
}
