// Light or dark: as the system has it, unless the person chose.

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const KEY = "ploinky.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const watchers = new Set<() => void>();

export function chosenTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

function shownTheme(): "light" | "dark" {
  const chosen = chosenTheme();
  if (chosen !== "system") return chosen;
  return dark.matches ? "dark" : "light";
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = shownTheme();
  watchers.forEach((watcher) => watcher());
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  applyTheme();
}

dark.addEventListener("change", applyTheme);

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export const useShownTheme = () => useSyncExternalStore(watch, shownTheme);
export const useChosenTheme = () => useSyncExternalStore(watch, chosenTheme);
