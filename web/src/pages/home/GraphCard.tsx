// Who needs whom, as a picture: what is needed stands to the right of what needs it.

import { useMemo } from "react";
import { graphlib, layout } from "@dagrejs/dagre";
import { useCall } from "../../api/hooks";
import type { AgentStatus, Graph } from "../../api/types";
import { ErrorNote, Skeleton } from "../../ui/parts";
import { lookOf } from "./state";

const HEIGHT = 36;
const widthOf = (name: string) => Math.max(76, name.length * 8.8 + 42);

interface Placed {
  nodes: { name: string; x: number; y: number; width: number }[];
  lines: { key: string; points: string; waits: boolean; label: string }[];
  width: number;
  height: number;
}

function place(graph: Graph): Placed {
  const made = new graphlib.Graph();
  made.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 56, marginx: 4, marginy: 4 });
  made.setDefaultEdgeLabel(() => ({}));
  for (const name of graph.nodes) made.setNode(name, { width: widthOf(name), height: HEIGHT });
  for (const edge of graph.edges) made.setEdge(edge.from, edge.to);
  layout(made);
  const size = made.graph();
  return {
    nodes: graph.nodes.map((name) => {
      const { x, y, width } = made.node(name);
      return { name, x, y, width: width ?? 0 };
    }),
    lines: graph.edges.map((edge) => ({
      key: `${edge.from} ${edge.to}`,
      points: made.edge(edge.from, edge.to).points.map(({ x, y }: { x: number; y: number }) => `${x},${y}`).join(" "),
      waits: edge.waits,
      label: `${edge.from} needs ${edge.to}`,
    })),
    width: size.width ?? 0,
    height: size.height ?? 0,
  };
}

interface Props {
  agents: AgentStatus[];
  onOpen: (name: string) => void;
}

export default function GraphCard({ agents, onOpen }: Props) {
  const graph = useCall<Graph>("agents.graph");
  const placed = useMemo(() => (graph.data ? place(graph.data) : null), [graph.data]);
  const tones = Object.fromEntries(agents.map((agent) => [agent.name, lookOf(agent)]));
  return (
    <section className="card" aria-labelledby="graph-title">
      <div className="card-head">
        <h2 id="graph-title">Who needs whom</h2>
      </div>
      {graph.error && <ErrorNote error={graph.error} onRetry={() => void graph.refetch()} />}
      {graph.isPending && !graph.error && <Skeleton />}
      {placed && placed.nodes.length === 0 && <p className="soft small">Enabled agents and what they need are drawn here.</p>}
      {placed && placed.nodes.length > 0 && (
        <div className="graph-wrap" tabIndex={0} role="group" aria-label="Dependency graph">
          <svg width={placed.width} height={placed.height} viewBox={`0 0 ${placed.width} ${placed.height}`}>
            <defs>
              <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
                <path d="M0 0 8 4 0 8z" className="graph-arrow" />
              </marker>
            </defs>
            {placed.lines.map((line) => (
              <polyline key={line.key} points={line.points} className={line.waits ? "graph-line" : "graph-line loose"} markerEnd="url(#arrow)">
                <title>{line.label}</title>
              </polyline>
            ))}
            {placed.nodes.map((node) => (
              <g
                key={node.name}
                className={`graph-node ${tones[node.name]?.tone ?? "plain"}`}
                transform={`translate(${node.x - node.width / 2} ${node.y - HEIGHT / 2})`}
                role="button"
                tabIndex={0}
                aria-label={`${node.name}: ${tones[node.name]?.word ?? "unknown"}`}
                onClick={() => onOpen(node.name)}
                onKeyDown={(event) => event.key === "Enter" && onOpen(node.name)}
              >
                <rect width={node.width} height={HEIGHT} rx="9" />
                <circle cx="16" cy={HEIGHT / 2} r="4" />
                <text x="28" y={HEIGHT / 2 + 4.5}>
                  {node.name}
                </text>
              </g>
            ))}
          </svg>
        </div>
      )}
    </section>
  );
}
