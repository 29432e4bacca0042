import { Bar, BarChart, CartesianGrid, Legend, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { Empty } from "../../ui/parts";
import { AXIS, Panel, TIP } from "./Panel";
import { money } from "./SpendingPart";
import type { SpentRow } from "./types";

interface Props {
  rows: SpentRow[];
  days: number;
  names: Map<string, string>;
}

type Point = { day: string } & Record<string, number | string>;

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact" });
const COLOURS = ["var(--chart-1)", "var(--chart-2)", "var(--chart-4)", "var(--chart-3)"];

/** Every day of the span, those without any too, with one number for each assistant. */
function points(rows: SpentRow[], days: number, of: (row: SpentRow) => number): Point[] {
  const today = new Date();
  return Array.from({ length: days }, (_, index) => {
    const at = new Date(today.getFullYear(), today.getMonth(), today.getDate() - (days - 1 - index));
    const key = `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
    const own = rows.filter((row) => row.day === key).map((row) => [row.profileId, of(row)]);
    return { day: DAY.format(at), ...Object.fromEntries(own) } as Point;
  });
}

function ByDay({ data, ids, names, format }: { data: Point[]; ids: string[]; names: Props["names"]; format: (value: number) => string }) {
  return (
    <ResponsiveContainer width="100%" height="100%">
      <BarChart accessibilityLayer={false} data={data} margin={{ top: 8, right: 4, left: -4, bottom: 0 }}>
        <CartesianGrid vertical={false} stroke="var(--line)" />
        <XAxis dataKey="day" {...AXIS} minTickGap={20} />
        <YAxis {...AXIS} tickFormatter={(value) => SHORT.format(Number(value))} />
        <Tooltip {...TIP} formatter={(value) => format(Number(value))} />
        {ids.length > 1 && <Legend iconSize={9} wrapperStyle={{ fontSize: 12 }} />}
        {ids.map((id, index) => (
          <Bar key={id} dataKey={id} name={names.get(id) ?? id} stackId="all" maxBarSize={36} fill={COLOURS[index % COLOURS.length]} isAnimationActive={false} />
        ))}
      </BarChart>
    </ResponsiveContainer>
  );
}

export default function SpendingCharts({ rows, days, names }: Props) {
  const ids = [...new Set(rows.map((row) => row.profileId))];
  const tokens = rows.reduce((sum, row) => sum + row.tokens, 0);
  const cost = rows.reduce((sum, row) => sum + row.cost, 0);
  return (
    <div className="charts">
      <Panel title="Tokens by day" about={`${tokens.toLocaleString()} tokens in ${days} days.`}>
        <ByDay data={points(rows, days, (row) => row.tokens)} ids={ids} names={names} format={(value) => `${value.toLocaleString()} tokens`} />
      </Panel>
      <Panel title="Cost by day" about={`${money(cost)} in ${days} days.`}>
        {cost > 0 ? (
          <ByDay data={points(rows, days, (row) => row.cost)} ids={ids} names={names} format={money} />
        ) : (
          <Empty title="No cost">The entries of the models name no prices, or the models are free.</Empty>
        )}
      </Panel>
    </div>
  );
}
