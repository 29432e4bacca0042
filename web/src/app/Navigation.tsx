import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { Ellipsis, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useCall, useLink } from "../api/hooks";
import { logOut } from "../api/rpc";
import type { Gateway } from "../api/types";
import { Dialog } from "../ui/Dialog";
import { Button } from "../ui/parts";
import { usePendingApprovals } from "../pages/approvals/pending";
import { type Place, PLACES } from "./places";
import { chooseTheme, type Theme, useChosenTheme } from "./theme";

const isHere = (place: Place, path: string) =>
  place.path === "/" ? path === "/" || path.startsWith("/agents") : path.startsWith(place.path);

function PlaceLink({ place, path, onGo }: { place: Place; path: string; onGo?: () => void }) {
  const waiting = usePendingApprovals(place.path === "/approvals");
  const Icon = place.icon;
  return (
    <Link href={place.path} aria-current={isHere(place, path) ? "page" : undefined} onClick={onGo}>
      <Icon size={18} aria-hidden />
      <span>{place.name}</span>
      {waiting > 0 && (
        <span className="badge warn count">
          {waiting}
          <span className="hidden-text"> waiting</span>
        </span>
      )}
    </Link>
  );
}

const NEXT: Record<Theme, { theme: Theme; icon: typeof Sun; label: string }> = {
  system: { theme: "light", icon: Monitor, label: "Colours: as the system. Change to light" },
  light: { theme: "dark", icon: Sun, label: "Colours: light. Change to dark" },
  dark: { theme: "system", icon: Moon, label: "Colours: dark. Change to as the system" },
};

function Foot({ canLogOut }: { canLogOut: boolean }) {
  const next = NEXT[useChosenTheme()];
  const Icon = next.icon;
  return (
    <div className="row tight">
      <Button kind="quiet" size="small" icon={<Icon size={17} />} label={next.label} onClick={() => chooseTheme(next.theme)} />
      {canLogOut && (
        <Button kind="quiet" size="small" onClick={() => void logOut()}>
          <LogOut size={16} aria-hidden /> Log out
        </Button>
      )}
    </div>
  );
}

const LINK_WORDS = {
  live: ["good-text", "Connected"],
  connecting: ["faint", "Connecting"],
  lost: ["warn-text", "Offline"],
} as const;

function LinkState() {
  const [tone, word] = LINK_WORDS[useLink()];
  return (
    <div className="link-state">
      <span className={`dot ${tone}`} /> {word}
    </div>
  );
}

export function SideBar({ canLogOut }: { canLogOut: boolean }) {
  const [path] = useLocation();
  const gateway = useCall<Gateway>("gateway.status");
  useEffect(() => {
    const place = PLACES.find((each) => isHere(each, path));
    document.title = [place?.name, gateway.data?.name, "Ploinky"].filter(Boolean).join(" · ");
  }, [path, gateway.data?.name]);
  return (
    <div className="side">
      <Link href="/" className="brand">
        <img src="/icon.svg" alt="" />
        <span className="clip">
          Ploinky
          <small className="clip">{gateway.data?.name ?? " "}</small>
        </span>
      </Link>
      <nav className="nav" aria-label="Pages">
        {PLACES.map((place) => (
          <PlaceLink key={place.path} place={place} path={path} />
        ))}
      </nav>
      <div className="side-foot">
        <LinkState />
        <Foot canLogOut={canLogOut} />
      </div>
    </div>
  );
}

export function BottomBar({ canLogOut }: { canLogOut: boolean }) {
  const [path] = useLocation();
  const [open, setOpen] = useState(false);
  const rest = PLACES.filter((place) => !place.first);
  return (
    <nav className="bottom" aria-label="Pages, short">
      {PLACES.filter((place) => place.first).map((place) => (
        <PlaceLink key={place.path} place={place} path={path} />
      ))}
      <button
        type="button"
        aria-haspopup="dialog"
        aria-current={rest.some((place) => isHere(place, path)) ? "page" : undefined}
        onClick={() => setOpen(true)}
      >
        <Ellipsis size={18} aria-hidden />
        More
      </button>
      <Dialog open={open} onClose={() => setOpen(false)} title="More">
        <div className="nav more-nav">
          {rest.map((place) => (
            <PlaceLink key={place.path} place={place} path={path} onGo={() => setOpen(false)} />
          ))}
        </div>
        <Foot canLogOut={canLogOut} />
      </Dialog>
    </nav>
  );
}
