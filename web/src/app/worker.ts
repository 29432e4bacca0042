// The service worker, which brings the pages up while the gateway is away. Browsers have it over TLS and on the
// machine itself only; elsewhere everything works but a reload while offline.

interface Policies {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL: (url: string) => string };
}

const ADDRESS = "/sw.js";

/** The one script address that the pages may make, as the Content-Security-Policy has it. */
function address(): string {
  const policies = (window as unknown as { trustedTypes?: Policies }).trustedTypes;
  if (!policies) return ADDRESS;
  return policies.createPolicy("ploinky-worker", { createScriptURL: () => ADDRESS }).createScriptURL("");
}

/** Register it once the first view is done, so that it takes nothing from it. */
export function registerWorker(): void {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  const register = () => void navigator.serviceWorker.register(address()).catch(() => undefined);
  window.addEventListener("load", () => setTimeout(register, 1500), { once: true });
}
