// Who is here: nobody yet, somebody who must log in, or somebody who is.

import { useCallback, useEffect, useState } from "react";
import { queryClient, refreshByEvents } from "../api/hooks";
import { forget, keepAnswers, recall } from "../api/kept";
import { events } from "../api/events";
import { onLoggedOut, readSession, type Session } from "../api/rpc";
import { Spinner } from "../ui/parts";
import { Login } from "./Login";
import { Shell } from "./Shell";

type State = { kind: "asking" } | { kind: "known"; session: Session } | { kind: "unreachable" } | { kind: "offline" };

export function App() {
  const [state, setState] = useState<State>({ kind: "asking" });

  const ask = useCallback(async () => {
    // what was read before is there at once, and if the gateway goes right now; all of it is read anew
    const recalled = recall(queryClient);
    try {
      const session = await readSession();
      if (!session.loggedIn) {
        await recalled;
        queryClient.clear();
        await forget();
      }
      setState({ kind: "known", session });
    } catch {
      const at = await recalled;
      if (at === null) return setState({ kind: "unreachable" });
      events.beginLost(at);
      setState({ kind: "offline" });
    }
  }, []);

  useEffect(() => {
    void ask();
    return onLoggedOut(() => {
      events.close();
      queryClient.clear();
      void forget().then(ask);
    });
  }, [ask]);

  const inside = state.kind === "offline" || (state.kind === "known" && state.session.loggedIn);
  useEffect(() => {
    if (!inside) return;
    events.open();
    const stops = [refreshByEvents(), keepAnswers(queryClient)];
    return () => stops.forEach((stop) => stop());
  }, [inside]);
  const offline = state.kind === "offline";
  useEffect(() => (offline ? events.watchLink(() => events.link === "live" && void ask()) : undefined), [offline, ask]);

  if (state.kind === "asking") {
    return (
      <main className="login">
        <Spinner label="Loading" />
      </main>
    );
  }
  if (state.kind === "offline") return <Shell canLogOut={false} />;
  if (state.kind === "unreachable") return <Login mode="unreachable" onDone={ask} />;
  if (!state.session.loggedIn) return <Login mode={state.session.mode} onDone={ask} />;
  return <Shell canLogOut={state.session.mode !== "none"} />;
}
