import { Bar, BarChart, CartesianGrid, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { Statistics } from "../../api/types";
import { clock, milliseconds } from "../../api/text";
import { Empty } from "../../ui/parts";
import { AXIS, Panel, TIP } from "./Panel";

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit" });
export default function Charts({ statistics, hours }: { statistics: Statistics; hours: number }) {
  const total = statistics.agents.reduce((sum, agent) => sum + agent.calls, 0);
  const errors = statistics.agents.reduce((sum, agent) => sum + agent.errors, 0);
  if (total === 0) {
    return (
      <div className="card">
        <Empty title="No tool was called in this time">Call one on the page of tools, or from any MCP client.</Empty>
      </div>
    );
  }
  const time = (at: string) => (hours > 24 ? DAY.format(new Date(at)) : clock(at));
  const spans = statistics.spans.map((span) => ({ ...span, time: time(span.at), good: span.calls - span.errors }));
  const agents = [...statistics.agents].sort((one, other) => other.calls - one.calls).slice(0, 8).map((agent) => ({ ...agent, good: agent.calls - agent.errors }));
  const told = agents.map((agent) => `${agent.agent}: ${agent.calls} calls, ${agent.errors} failed, median ${milliseconds(agent.p50Ms)}`).join("; ");
  return (
    <div className="charts">
      <Panel title="Calls" about={`${total} calls, ${errors} of them failed.`}>
        <ResponsiveContainer width="100%" height="100%">
          <BarChart accessibilityLayer={false} data={spans} margin={{ top: 8, right: 4, left: -22, bottom: 0 }}>
            <CartesianGrid vertical={false} stroke="var(--line)" />
            <XAxis dataKey="time" {...AXIS} minTickGap={28} />
            <YAxis {...AXIS} allowDecimals={false} />
            <Tooltip {...TIP} />
            <Bar dataKey="good" name="went well" stackId="calls" fill="var(--chart-1)" isAnimationActive={false} />
            <Bar dataKey="errors" name="failed" stackId="calls" fill="var(--chart-3)" isAnimationActive={false} />
          </BarChart>
        </ResponsiveContainer>
      </Panel>
      <Panel title="How long they took" about={`Median and slowest twentieth by time; ${told}.`}>
        <ResponsiveContainer width="100%" height="100%">
          <LineChart accessibilityLayer={false} data={spans.filter((span) => span.calls > 0)} margin={{ top: 8, right: 8, left: -6, bottom: 0 }}>
            <CartesianGrid vertical={false} stroke="var(--line)" />
            <XAxis dataKey="time" {...AXIS} minTickGap={28} />
            <YAxis {...AXIS} tickFormatter={milliseconds} />
            <Tooltip {...TIP} formatter={(value) => milliseconds(Number(value))} />
            <Line dataKey="p50Ms" name="median" stroke="var(--chart-1)" strokeWidth={2} dot={{ r: 3 }} isAnimationActive={false} />
            <Line dataKey="p95Ms" name="95 of 100" stroke="var(--chart-2)" strokeWidth={2} dot={{ r: 3 }} isAnimationActive={false} />
          </LineChart>
        </ResponsiveContainer>
      </Panel>
      <Panel title="By agent" about={told}>
        <ResponsiveContainer width="100%" height="100%">
          <BarChart accessibilityLayer={false} data={agents} layout="vertical" margin={{ top: 8, right: 12, left: 4, bottom: 0 }}>
            <CartesianGrid horizontal={false} stroke="var(--line)" />
            <XAxis type="number" {...AXIS} allowDecimals={false} />
            <YAxis type="category" dataKey="agent" {...AXIS} width={86} />
            <Tooltip {...TIP} />
            <Bar dataKey="good" name="went well" stackId="calls" fill="var(--chart-1)" barSize={16} isAnimationActive={false} />
            <Bar dataKey="errors" name="failed" stackId="calls" fill="var(--chart-3)" barSize={16} isAnimationActive={false} />
          </BarChart>
        </ResponsiveContainer>
      </Panel>
    </div>
  );
}
