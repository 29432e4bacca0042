import { type FormEvent, useState } from "react";
import { logIn, RpcError } from "../api/rpc";
import { Button, Field, Note } from "../ui/parts";

interface Props {
  mode: "token" | "password" | "oidc" | "none" | "unreachable";
  onDone: () => Promise<void>;
}

export function Login({ mode, onDone }: Props) {
  const [value, setValue] = useState("");
  const [error, setError] = useState<RpcError | null>(null);
  const [busy, setBusy] = useState(false);
  const query = new URLSearchParams(window.location.search);
  const linkWasUsed = query.get("link") === "used";
  const word = mode === "password" ? "Password" : "Token";

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      if (mode !== "unreachable") {
        const proof = value.trim();
        await logIn(mode === "password" ? { password: value } : { token: proof });
        window.history.replaceState(null, "", window.location.pathname);
      }
      await onDone();
    } catch (caught) {
      setError(caught instanceof RpcError ? caught : new RpcError(String(caught), "FAILED"));
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="login">
      <form className="card stack" onSubmit={submit}>
        <div className="brand">
          <img src="/icon.svg" alt="" />
          <h1>Ploinky</h1>
        </div>
        {mode === "unreachable" ? (
          <>
            <Note kind="warn" title="The gateway cannot be reached.">
              Start it with <code>ploinky start</code>, then try again.
            </Note>
            <Button kind="primary" type="submit" busy={busy}>
              Try again
            </Button>
          </>
        ) : mode === "oidc" ? (
          <>
            <p className="soft">Log in to your workspace.</p>
            {query.get("login") === "refused" && (
              <Note kind="bad" title="That login was refused.">
                Only accounts that the workspace names may come in. <code>ploinky open</code> also logs you in.
              </Note>
            )}
            <a className="button primary" href="/login/oidc">
              Log in with your provider
            </a>
          </>
        ) : (
          <>
            <p className="soft">Log in to your workspace.</p>
            {linkWasUsed && !error && (
              <Note kind="warn" title="That link was used or is too old.">
                Make another with <code>ploinky open</code>, or log in here.
              </Note>
            )}
            <Field
              label={word}
              help={
                mode === "password" ? undefined : (
                  <>
                    Print it with <code>ploinky token</code>. Or let <code>ploinky open</code> log you in.
                  </>
                )
              }
            >
              {(props) => (
                <input
                  {...props}
                  className="input"
                  type="password"
                  autoComplete="current-password"
                  autoFocus
                  required
                  value={value}
                  onChange={(event) => setValue(event.target.value)}
                />
              )}
            </Field>
            {error && (
              <Note kind="bad" title={error.message}>
                {error.hint}
              </Note>
            )}
            <Button kind="primary" type="submit" busy={busy} disabled={!value}>
              Log in
            </Button>
          </>
        )}
      </form>
    </main>
  );
}
