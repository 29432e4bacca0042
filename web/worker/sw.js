// The service worker: the pages' own files and nothing else. What the gateway answers is never kept here.
// The build fills in which files there are, and their mark.

const SHELL = __SHELL__;
const CACHE = "ploinky-__MARK__";
const PATIENCE_MS = 3000;
const VIEWS = /^\/($|activity|agents|approvals|assistants|chat|settings|skills|terminal|tools)(\/|$)/;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith("ploinky-") && name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

const kept = (path) => caches.open(CACHE).then((cache) => cache.match(path));

/** The gateway's page if it answers soon, else the kept one. */
async function page(request) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error("too late")), PATIENCE_MS));
  try {
    return await Promise.race([fetch(request), late]);
  } catch {
    return (await kept("/")) ?? Response.error();
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (VIEWS.test(url.pathname)) event.respondWith(page(request));
  } else if (SHELL.includes(url.pathname)) {
    event.respondWith(kept(url.pathname).then((found) => found ?? fetch(request)));
  }
});
