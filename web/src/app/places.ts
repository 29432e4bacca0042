// The pages there are. To add one: a row here and its route in Shell.tsx.

import {
  Activity, Bot, House, type LucideIcon, MessageSquare, Settings, ShieldCheck, Sparkles, SquareTerminal, Wrench,
} from "lucide-react";

export interface Place {
  path: string;
  name: string;
  icon: LucideIcon;
  /** Shown in the bar at the bottom of a phone; the rest is under "More". */
  first?: boolean;
}

export const PLACES: Place[] = [
  { path: "/", name: "Home", icon: House, first: true },
  { path: "/chat", name: "Chat", icon: MessageSquare, first: true },
  { path: "/tools", name: "Tools", icon: Wrench, first: true },
  { path: "/assistants", name: "Assistants", icon: Bot },
  { path: "/skills", name: "Skills", icon: Sparkles },
  { path: "/approvals", name: "Approvals", icon: ShieldCheck, first: true },
  { path: "/activity", name: "Activity", icon: Activity },
  { path: "/terminal", name: "Terminal", icon: SquareTerminal },
  { path: "/settings", name: "Settings", icon: Settings },
];

