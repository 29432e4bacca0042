"""The web UI's first view in a real Chromium whose processor is slowed down four times, with an empty cache.

Each round is a new browser context that is logged in and has never loaded a page; the clock is the browser's
own, from the start of the navigation. Nothing is slept for: the page itself tells when its words are there.
"""

from __future__ import annotations

import gzip
import re
import shutil
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from bench.report import Table, median, verdict
from bench.workspace import bench_workspace
from ploinky.gateway.pages import STATIC

SLOWER = 4
ROUNDS = 7
AGENTS = 4
VIEW_S, SCRIPT_KB = 1.5, 350
PATIENCE_MS = 60_000
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
# path, what is looked for once the page says what it is for
VIEWS: dict[str, tuple[str, str]] = {
    "Home": ("/", ".agent-card h2"),
    "Chat": ("/chat/default/main", ".chat-title"),
    "Tools": ("/tools", ".tool-item"),
}
# When the element with the page's own content was in the tree, and the browser's own largest paint.
WATCH = """(() => {
  const found = { content: 0, largest: 0 };
  window.__view = found;
  const look = () => {
    if (!found.content && document.querySelector(SELECTOR)) requestAnimationFrame(() => {
      found.content = found.content || performance.now();
    });
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) found.largest = entry.startTime;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
})()"""


def first_view_s(
    browser: Browser, base: str, token: str, path: str, content: str
) -> tuple[float, float, float]:
    """Seconds from the start of the navigation to the first paint, to the page's own content, to the largest
    paint before that."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, service_workers="block")
    try:
        answer = context.request.post(f"{base}/login", data={"token": token}, headers={"Origin": base})
        assert answer.ok, answer.status
        page = context.new_page()
        page.add_init_script(WATCH.replace("SELECTOR", repr(content)))
        slow = context.new_cdp_session(page)
        slow.send("Network.enable")
        slow.send("Network.setCacheDisabled", {"cacheDisabled": True})
        slow.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.goto(f"{base}{path}", wait_until="commit")
        page.wait_for_function(
            "() => window.__view.content > 0 && window.__view.largest > 0", timeout=PATIENCE_MS
        )
        seen: Any = page.evaluate(
            "[performance.getEntriesByName('first-contentful-paint')[0].startTime,"
            " __view.content, __view.largest]"
        )
        paint, content_ms, largest = (float(each) / 1000 for each in seen)
        return paint, content_ms, largest
    finally:
        context.close()


def first_scripts_kb() -> float:
    """Kilobytes, gzipped, of every script that the start page names."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', text)
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in names) / 1000


def run(_runtimes: tuple[str, ...]) -> Table:
    """The first view of the pages on a slow machine."""
    rows = []
    bars = []
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with bench_workspace("sandbox", AGENTS) as workspace, sync_playwright() as playwright:
        for name in workspace.names:
            workspace.ploinky("enable", "agent", name)
        workspace.ploinky("start")
        host, port, token = workspace.router()
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        for name, (path, content) in VIEWS.items():
            taken = [
                first_view_s(browser, f"http://{host}:{port}", token, path, content) for _ in range(ROUNDS)
            ]
            paint, view, largest = (median(each) for each in zip(*taken, strict=True))
            rows.append((name, f"{paint:.2f}", f"{view:.2f}", f"{largest:.2f}"))
            bars.append(verdict(f"{name}, first view", view, VIEW_S, "s"))
        browser.close()
    bars.append(verdict("scripts of the first load, gzipped", first_scripts_kb(), SCRIPT_KB, "kB"))
    return Table(
        f"First view of the pages, processor slowed down {SLOWER} times, nothing cached, seconds",
        ("page", "first paint", "its own content", "largest paint"),
        tuple(rows),
        tuple(bars),
    )
