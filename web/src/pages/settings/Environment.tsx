import { type FormEvent, useState } from "react";
import { Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { ProfileRow, SecretRow } from "../../api/types";
import { Confirm } from "../../ui/Dialog";
import { Badge, Button, Empty, ErrorNote, Field, Skeleton, type Tone } from "../../ui/parts";
import { useToast } from "../../ui/toast";

const TONES: Record<string, Tone> = { active: "accent", ready: "good", missing: "bad" };

function Profiles() {
  const toast = useToast();
  const profiles = useCall<ProfileRow[]>("envprofile.list");
  const use = useChange<{ name: string }>("envprofile.use", ["envprofile.list", "envprofile.validate", "gateway.status", "secrets.list"]);
  return (
    <section className="card flush" aria-labelledby="profiles-title">
      <div className="card-head">
        <div>
          <h2 id="profiles-title">Profiles</h2>
          <p className="soft small">The same agents with other variables, secrets and hooks. Running agents keep theirs until they are restarted.</p>
        </div>
      </div>
      {profiles.error && <ErrorNote error={profiles.error} />}
      {profiles.isPending && !profiles.error && <Skeleton />}
      {profiles.data && (
        <div className="table-wrap">
          <table>
            <thead>
              <tr>
                <th>Profile</th>
                <th>State</th>
                <th>Secrets</th>
                <th>
                  <span className="hidden-text">Use</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {profiles.data.map((row) => (
                <tr key={row.name}>
                  <td>
                    <b>{row.name}</b>
                  </td>
                  <td>
                    <Badge tone={TONES[row.status] ?? "plain"}>{row.status}</Badge>
                    {row.missing.length > 0 && <div className="bad-text small">Missing: {row.missing.join(", ")}</div>}
                  </td>
                  <td>{row.secrets ? `${row.found} of ${row.secrets}` : "None"}</td>
                  <td className="number">
                    <Button
                      size="small"
                      disabled={row.active || use.isPending}
                      label={row.active ? `In use: profile ${row.name}` : `Use profile ${row.name}`}
                      onClick={() => use.mutate({ name: row.name }, { onSuccess: () => toast.say(`Profile ${row.name} is active.`), onError: toast.fail })}
                    >
                      {row.active ? "In use" : "Use"}
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function SecretForm({ names }: { names: string[] }) {
  const toast = useToast();
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const set = useChange<{ name: string; value: string }>("secrets.set", ["secrets.list", "envprofile.list", "envprofile.validate"]);

  function save(event: FormEvent) {
    event.preventDefault();
    set.mutate({ name: name.trim(), value }, {
      onSuccess: () => {
        toast.say(`${name.trim()} is kept. Agents get it when they are started again.`);
        setName("");
        setValue("");
      },
      onError: toast.fail,
    });
  }

  return (
    <form className="secret-form" onSubmit={save}>
      <Field label="Name">
        {(props) => <input {...props} className="input mono" list="secret-names" required value={name} onChange={(event) => setName(event.target.value)} placeholder="API_KEY" autoComplete="off" spellCheck={false} />}
      </Field>
      <datalist id="secret-names">
        {names.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <Field label="Value">
        {(props) => <input {...props} className="input" type="password" autoComplete="off" value={value} onChange={(event) => setValue(event.target.value)} />}
      </Field>
      <Button kind="primary" type="submit" busy={set.isPending}>
        Set secret
      </Button>
    </form>
  );
}

function Secrets() {
  const toast = useToast();
  const secrets = useCall<SecretRow[]>("secrets.list");
  const [going, setGoing] = useState("");
  const remove = useChange<{ name: string }>("secrets.delete", ["secrets.list", "envprofile.list", "envprofile.validate"]);
  const rows = secrets.data ?? [];
  return (
    <section className="card flush" aria-labelledby="secrets-title">
      <div className="card-head">
        <div>
          <h2 id="secrets-title">Secrets</h2>
          <p className="soft small">By name. A value goes in here and to the agents that ask for it; it never comes back.</p>
        </div>
      </div>
      <SecretForm names={rows.filter((row) => !row.found).map((row) => row.name)} />
      {secrets.error && <ErrorNote error={secrets.error} />}
      {secrets.isPending && !secrets.error && <Skeleton />}
      {secrets.data && rows.length === 0 && <Empty title="No secret is kept or asked for" />}
      {rows.length > 0 && (
        <div className="table-wrap">
          <table>
            <thead>
              <tr>
                <th>Name</th>
                <th>Value</th>
                <th>Used by</th>
                <th>
                  <span className="hidden-text">Delete</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.name}>
                  <td className="mono">{row.name}</td>
                  <td>
                    {row.found ? <Badge tone="good">{`Set · ${row.source}`}</Badge> : <Badge tone={row.required ? "bad" : "plain"}>{row.required ? "missing" : "not set"}</Badge>}
                  </td>
                  <td className="soft">{row.agents.join(", ") || "–"}</td>
                  <td className="number">
                    {row.found && (
                      <Button size="small" kind="quiet" icon={<Trash2 size={15} />} label={`Delete ${row.name}`} onClick={() => setGoing(row.name)} />
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Confirm
        open={going !== ""}
        title={`Delete ${going}?`}
        action="Delete"
        danger
        busy={remove.isPending}
        onClose={() => setGoing("")}
        onConfirm={() =>
          remove.mutate({ name: going }, { onSuccess: () => { toast.say(`${going} was deleted.`); setGoing(""); }, onError: toast.fail })
        }
      >
        Its value is forgotten. Agents that need it do not start without.
      </Confirm>
    </section>
  );
}

export function Environment() {
  return (
    <>
      <Profiles />
      <Secrets />
    </>
  );
}
