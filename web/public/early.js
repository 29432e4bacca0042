// Asks for what the first view needs while the pages' own code is still on its way. api/early.ts hands it over.
(() => {
  const first = { "": "agents.status", agents: "agents.status", terminal: "agents.status", chat: "profile.list", assistants: "profile.list", tools: "tools.list", settings: "config.get" };
  const method = first[location.pathname.split("/")[1]];
  const session = fetch("/session", { cache: "no-store" });
  const early = { session };
  if (method) {
    early[method] = session.then(async (answer) => {
      if (!answer.ok || !(await answer.clone().json()).loggedIn) throw new Error("nobody is logged in");
      return fetch("/rpc", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 0, method, params: {} }),
      });
    });
  }
  for (const answer of Object.values(early)) answer.catch(() => undefined);
  window.ploinkyEarly = early;
})();
