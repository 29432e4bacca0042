import { type FormEvent, useState } from "react";
import { useChange } from "../../api/hooks";
import type { ConfigAnswer, JsonMap } from "../../api/types";
import { RpcError } from "../../api/rpc";
import { Button, ErrorNote, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { PartProps } from "./Settings";

const part = (value: unknown): JsonMap => (typeof value === "object" && value !== null ? (value as JsonMap) : {});

function Address({ gateway }: { gateway: JsonMap }) {
  const toast = useToast();
  const kept = String(gateway.bindAddress ?? (gateway.bind === "loopback" ? "127.0.0.1" : gateway.bind ?? ""));
  const [address, setAddress] = useState(kept);
  const [port, setPort] = useState(String(gateway.port ?? ""));
  const [error, setError] = useState<RpcError | null>(null);
  const patch = useChange<{ patch: JsonMap }, ConfigAnswer>("config.patch", ["config.get"]);

  function save(event: FormEvent) {
    event.preventDefault();
    setError(null);
    const number = Number(port);
    patch.mutate(
      { patch: { gateway: { bindAddress: address.trim(), ...(port && Number.isInteger(number) && number !== gateway.port && { port: number }) } } },
      { onSuccess: () => toast.say("The address is kept."), onError: setError },
    );
  }

  return (
    <form className="card stack" onSubmit={save}>
      <h2>Where the gateway listens</h2>
      <div className="two">
        <Field
          label="Address"
          help="This machine only: 127.0.0.1. For your phone, the address of a private network or of Tailscale. Public addresses are refused."
          fault={error?.field === "bindAddress" ? `${error.message} ${error.hint ?? ""}` : undefined}
        >
          {(props) => <input {...props} className="input mono" required value={address} onChange={(event) => setAddress(event.target.value)} spellCheck={false} autoComplete="off" />}
        </Field>
        <Field label="Port" help="0 takes a free one.">
          {(props) => <input {...props} className="input mono" type="number" min={0} max={65535} value={port} onChange={(event) => setPort(event.target.value)} />}
        </Field>
      </div>
      {error && error.field !== "bindAddress" && <ErrorNote error={error} />}
      <div>
        <Button kind="primary" type="submit" busy={patch.isPending}>
          Save address
        </Button>
      </div>
    </form>
  );
}

const MODES: [string, string][] = [
  ["token", "The owner's token (ploinky token)"],
  ["password", "A password"],
  ["none", "None: whoever uses this machine"],
];
const ELSEWHERE: [string, string] = ["oidc", "Your OpenID provider (set up in .ploinky/config.json)"];

function LoginMode({ auth }: { auth: JsonMap }) {
  const toast = useToast();
  const kept = String(auth.mode ?? "token");
  const [mode, setMode] = useState(kept);
  const modes = kept === "oidc" ? [...MODES, ELSEWHERE] : MODES;
  const [password, setPassword] = useState("");
  const [error, setError] = useState<RpcError | null>(null);
  const change = useChange<{ mode: string; password?: string }, ConfigAnswer>("config.login", ["config.get"]);

  function save(event: FormEvent) {
    event.preventDefault();
    setError(null);
    change.mutate(mode === "password" ? { mode, password } : { mode }, {
      onSuccess: () => {
        setPassword("");
        toast.say("How people log in is kept. Everybody logs in again once the gateway starts anew.");
      },
      onError: setError,
    });
  }

  return (
    <form className="card stack" onSubmit={save}>
      <h2>How people log in here</h2>
      <Field label="By" help="Programs always use tokens.">
        {(props) => (
          <select {...props} className="input" value={mode} onChange={(event) => setMode(event.target.value)}>
            {modes.map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {mode === "password" && (
        <Field label="New password" help="At least 10 characters. Only an argon2 hash of it is kept." fault={error?.field === "password" ? error.message : undefined}>
          {(props) => <input {...props} className="input" type="password" autoComplete="new-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
      )}
      {error && error.field !== "password" && <ErrorNote error={error} />}
      <div>
        <Button kind="primary" type="submit" busy={change.isPending} disabled={mode === "oidc"}>
          Save login
        </Button>
      </div>
    </form>
  );
}

export function Network({ config }: PartProps) {
  const gateway = part(config.settings.gateway);
  return (
    <div className="two">
      <Address key={JSON.stringify([gateway.bindAddress, gateway.port])} gateway={gateway} />
      <LoginMode auth={part(gateway.auth)} />
    </div>
  );
}
