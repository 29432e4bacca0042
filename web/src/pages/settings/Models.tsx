import { type FormEvent, useState } from "react";
import { Brain, Trash2 } from "lucide-react";
import { useChange } from "../../api/hooks";
import { RpcError } from "../../api/rpc";
import type { ConfigAnswer, JsonMap } from "../../api/types";
import { Badge, Button, Empty, ErrorNote, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { ModelTest } from "../assistants/ModelTest";
import { ModelOffer } from "./ModelOffer";
import { ProviderKeys } from "./ProviderKeys";
import { modelKeyOf, providerName, PROVIDERS } from "./providers";
import type { PartProps } from "./Settings";

function NewModel({ onAdd, busy }: { onAdd: (id: string, model: JsonMap) => void; busy: boolean }) {
  const [id, setId] = useState("");
  const [provider, setProvider] = useState(PROVIDERS[0]?.id ?? "ollama");
  const [typed, setTyped] = useState<Record<string, string>>({});
  const row = PROVIDERS.find((each) => each.id === provider);

  function add(event: FormEvent) {
    event.preventDefault();
    const given = (row?.fields ?? []).map((field) => [field.key, (typed[field.key] ?? field.initial ?? "").trim()] as const);
    onAdd(id.trim(), { provider, ...Object.fromEntries(given.filter(([, text]) => text)) });
    setId("");
    setTyped({});
  }

  return (
    <form className="rule-form" onSubmit={add}>
      <Field label="Name">{(props) => <input {...props} className="input mono" required pattern="[A-Za-z0-9_.\-]+" value={id} onChange={(event) => setId(event.target.value)} placeholder="local" />}</Field>
      <Field label="Provider">
        {(props) => (
          <select {...props} className="input" value={provider} onChange={(event) => setProvider(event.target.value)}>
            {PROVIDERS.map((each) => (
              <option key={each.id} value={each.id}>
                {each.name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {(row?.fields ?? []).map((field) => (
        <Field key={field.key} label={field.name} help={field.help}>
          {(props) => (
            <input
              {...props}
              className="input mono"
              required={field.required}
              value={typed[field.key] ?? field.initial ?? ""}
              onChange={(event) => setTyped({ ...typed, [field.key]: event.target.value })}
            />
          )}
        </Field>
      ))}
      <Button kind="primary" type="submit" busy={busy}>
        Add model
      </Button>
    </form>
  );
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

export function Models({ config }: PartProps) {
  const toast = useToast();
  const [error, setError] = useState<RpcError | null>(null);
  const patch = useChange<{ patch: JsonMap }, ConfigAnswer>("config.patch", ["config.get", "profile.list"]);
  const models = (config.settings.models ?? {}) as Record<string, JsonMap>;
  const usual = config.settings.defaultModel;
  const keep = (change: JsonMap, done: string) => {
    setError(null);
    patch.mutate({ patch: change }, { onSuccess: () => toast.say(done), onError: setError });
  };
  return (
    <>
    <section className="card flush" aria-labelledby="models-title">
      <div className="card-head">
        <div>
          <h2 id="models-title">Models</h2>
          <p className="soft small">Each assistant uses one of these, or the default. Keys are kept apart: name a secret as env:NAME or workspace:name.</p>
        </div>
      </div>
      <NewModel busy={patch.isPending} onAdd={(id, model) => keep({ models: { [id]: model }, ...(!usual && { defaultModel: id }) }, `Model ${id} is kept.`)} />
      {error && <ErrorNote error={error} />}
      {Object.keys(models).length === 0 ? (
        <Empty icon={<Brain size={32} strokeWidth={1.5} aria-hidden />} title="No model is configured">
          Assistants work without one, and say so: they list and call tools, and keep notes.
        </Empty>
      ) : (
        <div className="table-wrap">
          <table>
            <thead>
              <tr>
                <th>Name</th>
                <th>Provider</th>
                <th>Model</th>
                <th>Key</th>
                <th>
                  <span className="hidden-text">Change</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {Object.entries(models).map(([id, model]) => (
                <tr key={id}>
                  <td>
                    <b className="mono">{id}</b> {id === usual && <Badge tone="accent">Default</Badge>}
                  </td>
                  <td>{providerName(model.provider)}</td>
                  <td className="mono">{textOf(model[modelKeyOf(model.provider)]) || "–"}</td>
                  <td className="mono soft">{textOf(model.apiKeyRef) || "–"}</td>
                  <td>
                    <div className="row tight end nowrap">
                    {model.provider !== "offline" && (
                      <>
                        <ModelTest modelId={id} small />
                        <ModelOffer id={id} model={model} />
                      </>
                    )}
                    {id !== usual && (
                      <Button size="small" label={`Make default: ${id}`} onClick={() => keep({ defaultModel: id }, `${id} is the default.`)}>
                        Make default
                      </Button>
                    )}
                    <Button
                      size="small"
                      kind="quiet"
                      icon={<Trash2 size={15} />}
                      label={`Delete model ${id}`}
                      onClick={() => keep({ models: { [id]: null }, ...(id === usual && { defaultModel: null }) }, `Model ${id} was deleted.`)}
                    />
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
    <ProviderKeys />
    </>
  );
}
