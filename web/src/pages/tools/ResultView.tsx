// A result as a table, as facts or as text; never as markup, for it comes from outside.

import type { CallAnswer, Json, JsonMap } from "../../api/types";

const isMap = (value: Json): value is JsonMap => typeof value === "object" && value !== null && !Array.isArray(value);
const isScalar = (value: Json): boolean => value === null || typeof value !== "object";
const MOST_ROWS = 500;

function Scalar({ value }: { value: Json }) {
  if (value === null) return <span className="faint">–</span>;
  if (typeof value === "boolean") return <>{value ? "yes" : "no"}</>;
  return <>{isScalar(value) ? String(value) : JSON.stringify(value)}</>;
}

function Table({ rows }: { rows: JsonMap[] }) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, 12);
  return (
    <div className="table-wrap result-box" tabIndex={0} role="group" aria-label="Result as a table">
      <table>
        <thead>
          <tr>
            {names.map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST_ROWS).map((row, index) => (
            <tr key={index}>
              {names.map((name) => (
                <td key={name} className={typeof row[name] === "number" ? "number" : undefined}>
                  <Scalar value={row[name] ?? null} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Value({ value }: { value: Json }) {
  if (Array.isArray(value) && value.length > 0 && value.every(isMap)) return <Table rows={value} />;
  if (Array.isArray(value) && value.every(isScalar)) {
    return (
      <ul>
        {value.slice(0, MOST_ROWS).map((each, index) => (
          <li key={index}>
            <Scalar value={each} />
          </li>
        ))}
      </ul>
    );
  }
  if (isMap(value)) {
    return (
      <dl className="facts">
        {Object.entries(value).map(([name, each]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd>{isScalar(each) ? <Scalar value={each} /> : <Value value={each} />}</dd>
          </div>
        ))}
      </dl>
    );
  }
  return <Scalar value={value} />;
}

function parsed(text: string): Json | undefined {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

export function ResultView({ answer }: { answer: CallAnswer }) {
  const value = answer.structured ?? parsed(answer.text);
  if (value !== undefined && value !== null && !answer.isError) {
    return (
      <>
        <Value value={value} />
        <details className="small">
          <summary className="faint">As it came</summary>
          <pre className="code">{answer.text || JSON.stringify(answer.structured, null, 2)}</pre>
        </details>
      </>
    );
  }
  return (
    <pre className="code" tabIndex={0}>
      {answer.text || "It answered nothing."}
    </pre>
  );
}
