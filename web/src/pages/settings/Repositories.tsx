import { type FormEvent, useState } from "react";
import { RefreshCw } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { OperationAnswer } from "../../api/types";
import { Badge, Button, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";

interface RepoRow {
  name: string;
  installed: boolean;
  enabled: boolean;
  url: string | null;
  agents: number | null;
  about: string | null;
}

const STALE = ["repos.list", "agents.list"];

function Add() {
  const toast = useToast();
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const add = useChange<{ name: string; url?: string }, OperationAnswer>("repos.add", STALE);

  function save(event: FormEvent) {
    event.preventDefault();
    add.mutate({ name: name.trim(), ...(url.trim() && { url: url.trim() }) }, {
      onSuccess: () => {
        toast.say(`Repository ${name.trim()} is installed.`);
        setName("");
        setUrl("");
      },
      onError: toast.fail,
    });
  }

  return (
    <form className="secret-form" onSubmit={save}>
      <Field label="Name">{(props) => <input {...props} className="input mono" required value={name} onChange={(event) => setName(event.target.value)} />}</Field>
      <Field label="Git address or folder">
        {(props) => <input {...props} className="input mono" value={url} onChange={(event) => setUrl(event.target.value)} placeholder="https://… or ../folder" />}
      </Field>
      <Button kind="primary" type="submit" busy={add.isPending}>
        Install
      </Button>
    </form>
  );
}

export function Repositories() {
  const toast = useToast();
  const repos = useCall<RepoRow[]>("repos.list");
  const enable = useChange<{ name: string }>("repos.enable", STALE);
  const disable = useChange<{ name: string }>("repos.disable", STALE);
  const add = useChange<{ name: string }, OperationAnswer>("repos.add", STALE);
  const update = useChange<{ names: string[] }, OperationAnswer>("repos.update", STALE);
  return (
    <section className="card flush" aria-labelledby="repos-title">
      <div className="card-head">
        <div>
          <h2 id="repos-title">Repositories of agents</h2>
          <p className="soft small">Folders or git repositories; every folder in one that has a manifest is an agent.</p>
        </div>
        <Button size="small" icon={<RefreshCw size={14} aria-hidden />} busy={update.isPending} onClick={() => update.mutate({ names: [] }, { onSuccess: () => toast.say("All repositories are up to date."), onError: toast.fail })}>
          Update all
        </Button>
      </div>
      <Add />
      {repos.error && <ErrorNote error={repos.error} />}
      {repos.isPending && !repos.error && <Skeleton lines={5} />}
      {repos.data && <div className="table-wrap">
        <table>
          <thead>
            <tr>
              <th>Repository</th>
              <th>State</th>
              <th className="number">Agents</th>
              <th>
                <span className="hidden-text">Change</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {repos.data.map((row) => (
              <tr key={row.name}>
                <td>
                  <b>{row.name}</b>
                  <div className="faint small">{row.about ?? row.url}</div>
                </td>
                <td>
                  <Badge tone={row.enabled ? "good" : "plain"}>{row.enabled ? "Enabled" : row.installed ? "Installed" : "Not installed"}</Badge>
                </td>
                <td className="number">{row.installed ? (row.agents ?? "–") : "–"}</td>
                <td className="number">
                  {!row.installed && (
                    <Button
                      size="small"
                      changes
                      busy={add.isPending && add.variables?.name === row.name}
                      disabled={add.isPending}
                      label={`Install repository ${row.name}`}
                      onClick={() => add.mutate({ name: row.name }, { onSuccess: () => toast.say(`Repository ${row.name} is installed.`), onError: toast.fail })}
                    >
                      Install
                    </Button>
                  )}
                  {row.installed && (
                    <Button
                      size="small"
                      label={`${row.enabled ? "Disable" : "Enable"} repository ${row.name}`}
                      onClick={() => (row.enabled ? disable : enable).mutate({ name: row.name }, { onError: toast.fail })}
                    >
                      {row.enabled ? "Disable" : "Enable"}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>}
    </section>
  );
}
