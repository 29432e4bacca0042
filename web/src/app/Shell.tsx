// The frame around every page, and which page is at which path.

import { lazy, Suspense } from "react";
import { Route, Switch, useLocation } from "wouter";
import { WifiOff } from "lucide-react";
import { events } from "../api/events";
import { useLink } from "../api/hooks";
import { Empty, PageSkeleton } from "../ui/parts";
import { Boundary } from "../ui/Boundary";
import { clock, stamp } from "../api/text";
import { Home } from "../pages/home/Home";
import { BottomBar, SideBar } from "./Navigation";

const LOADERS = {
  tools: () => import("../pages/tools/Tools"),
  activity: () => import("../pages/activity/Activity"),
  settings: () => import("../pages/settings/Settings"),
  terminal: () => import("../pages/terminal/TerminalPage"),
  chat: () => import("../pages/chat/Chat"),
  assistants: () => import("../pages/assistants/Assistants"),
  skills: () => import("../pages/skills/Skills"),
  approvals: () => import("../pages/approvals/Approvals"),
};
const Tools = lazy(LOADERS.tools);
const ActivityPage = lazy(LOADERS.activity);
const SettingsPage = lazy(LOADERS.settings);
const TerminalPage = lazy(LOADERS.terminal);
const Chat = lazy(LOADERS.chat);
const Assistants = lazy(LOADERS.assistants);
const Skills = lazy(LOADERS.skills);
const Approvals = lazy(LOADERS.approvals);

/** Fetch the code of the page that the address names while it is still being found out who is here. */
export function loadPage(path: string): void {
  const name = path.split("/")[1] ?? "";
  if (name in LOADERS) void LOADERS[name as keyof typeof LOADERS]().catch(() => undefined);
}

const A_DAY_MS = 86_400_000;

function when(at: number): string {
  const iso = new Date(at).toISOString();
  return Date.now() - at < A_DAY_MS ? clock(iso) : stamp(iso);
}

function OfflineBar() {
  const link = useLink();
  if (link !== "lost") return null;
  return (
    <div className="offline" role="status">
      <WifiOff size={15} aria-hidden />
      Offline: you see what was loaded until {when(events.heardAt)}. Nothing can be changed now. Trying again.
    </div>
  );
}

export function Shell({ canLogOut }: { canLogOut: boolean }) {
  const [path] = useLocation();
  return (
    <div className="shell">
      <a className="button skip" href="#main">
        Skip to the page
      </a>
      <SideBar canLogOut={canLogOut} />
      <main className="main" id="main" tabIndex={-1}>
        <OfflineBar />
        <Boundary key={path.split("/")[1]}>
          <Suspense fallback={<PageSkeleton />}>
            <Switch>
              <Route path="/" component={Home} />
              <Route path="/agents/:agent" component={Home} />
              <Route path="/chat/:profile?/:session?" component={Chat} />
              <Route path="/tools/:agent?/:tool?" component={Tools} />
              <Route path="/assistants/:profile?" component={Assistants} />
              <Route path="/skills" component={Skills} />
              <Route path="/approvals" component={Approvals} />
              <Route path="/activity/:part?" component={ActivityPage} />
              <Route path="/terminal/:agent?" component={TerminalPage} />
              <Route path="/settings/:part?" component={SettingsPage} />
              <Route>
                <div className="page">
                  <Empty title="There is no such page">Choose one at the side.</Empty>
                </div>
              </Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
      <BottomBar canLogOut={canLogOut} />
    </div>
  );
}
