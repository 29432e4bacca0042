// What all charts share: the frame with its words for those who do not see it, axes, tips.

import type { ReactNode } from "react";

export const AXIS = { tick: { fill: "var(--text-faint)", fontSize: 11 }, axisLine: false, tickLine: false } as const;
export const TIP = {
  contentStyle: { background: "var(--raised)", border: "1px solid var(--line)", borderRadius: 8, fontSize: 12 },
  cursor: { fill: "var(--sunken)", stroke: "var(--line)" },
  isAnimationActive: false,
} as const;

export function Panel({ title, about, children }: { title: string; about: string; children: ReactNode }) {
  return (
    <figure className="card chart" aria-label={about}>
      <figcaption>
        <h2>{title}</h2>
      </figcaption>
      <div className="chart-box" aria-hidden>
        {children}
      </div>
      <p className="hidden-text">{about}</p>
    </figure>
  );
}
