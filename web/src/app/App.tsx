// Who is here: nobody yet, somebody who must log in, or somebody who is.

import { useCallback, useEffect, useState } from "react";
import { queryClient, refreshByEvents } from "../api/hooks";
import { events } from "../api/events";
import { onLoggedOut, readSession, type Session } from "../api/rpc";
import { Spinner } from "../ui/parts";
import { Login } from "./Login";
import { Shell } from "./Shell";

type State = { kind: "asking" } | { kind: "known"; session: Session } | { kind: "unreachable" };

export function App() {
  const [state, setState] = useState<State>({ kind: "asking" });

  const ask = useCallback(async () => {
    try {
      setState({ kind: "known", session: await readSession() });
    } catch {
      setState({ kind: "unreachable" });
    }
  }, []);

  useEffect(() => {
    void ask();
    return onLoggedOut(() => {
      events.close();
      queryClient.clear();
      void ask();
    });
  }, [ask]);

  const loggedIn = state.kind === "known" && state.session.loggedIn;
  useEffect(() => {
    if (!loggedIn) return;
    events.open();
    return refreshByEvents();
  }, [loggedIn]);

  if (state.kind === "asking") {
    return (
      <main className="login">
        <Spinner label="Loading" />
      </main>
    );
  }
  if (state.kind === "unreachable") return <Login mode="unreachable" onDone={ask} />;
  if (!state.session.loggedIn) return <Login mode={state.session.mode} onDone={ask} />;
  return <Shell canLogOut={state.session.mode !== "none"} />;
}
