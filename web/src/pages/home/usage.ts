// Live CPU and memory of the agents, as far back as the small curves reach.

import { useState } from "react";
import { useEvents } from "../../api/hooks";

export interface Sample {
  cpu: number;
  memory: number;
}

const KEPT = 40;

export function useUsage(): Record<string, Sample[]> {
  const [samples, setSamples] = useState<Record<string, Sample[]>>({});
  useEvents("usage", (event) => {
    const agents = event.data.agents as Record<string, Sample> | undefined;
    if (!agents) return;
    setSamples((before) =>
      Object.fromEntries(
        Object.entries(agents).map(([name, sample]) => [name, [...(before[name] ?? []).slice(1 - KEPT), sample]]),
      ),
    );
  });
  return samples;
}
