import { useDeferredValue, useState } from "react";
import { useCall } from "../../api/hooks";
import { sentence } from "../../api/text";
import { Badge, ErrorNote, Field, Note, Skeleton } from "../../ui/parts";
import type { PartProps } from "./Assistants";

interface Context {
  model: string;
  budgetFrom: string;
  budgetTokens: number;
  replyTokens: number;
  tokens: number;
  parts: { name: string; tokens: number; share: number; text: string }[];
  messages: { role: string; content?: string; text?: string }[];
  tools: string[];
  notes: string[];
}

const nameOf = (part: string): string => sentence(part.replace("substrate:", ""));
const COLOURS = ["var(--chart-1)", "var(--chart-2)", "var(--chart-4)", "var(--info)", "var(--good)", "var(--chart-3)"];

/** Exactly what would be sent to the model now, and how much of its window each part takes. */
export function Preview({ profile }: PartProps) {
  const [message, setMessage] = useState("");
  const wanted = useDeferredValue(message.trim());
  const params = { profileId: profile.profileId, sessionId: "main", ...(wanted && { message: wanted }) };
  const found = useCall<Context>("context.preview", params);
  const context = found.data;
  return (
    <>
      <Field label="As if this came now">
        {(props) => <input {...props} className="input" value={message} onChange={(event) => setMessage(event.target.value)} placeholder="A message" />}
      </Field>
      {found.error && <ErrorNote error={found.error} onRetry={() => void found.refetch()} />}
      {!context && !found.error && <Skeleton lines={5} />}
      {context && (
        <>
          <p className="small soft">
            <b>{context.tokens.toLocaleString()}</b> of {context.budgetTokens.toLocaleString()} tokens ({context.budgetFrom}); {context.replyTokens.toLocaleString()} are kept for the answer. Model: {context.model}.
          </p>
          <div className="context-bar" role="img" aria-label={context.parts.map((part) => `${nameOf(part.name)} ${part.tokens} tokens`).join(", ")}>
            {context.parts.map((part, index) => (
              <i key={part.name} title={`${nameOf(part.name)}: ${part.tokens.toLocaleString()} tokens`} style={{ width: `${(part.tokens / context.budgetTokens) * 100}%`, background: COLOURS[index % COLOURS.length] }} />
            ))}
          </div>
          {context.notes.map((note) => (
            <Note key={note} kind="warn" title={note} />
          ))}
          <div className="stack tight">
            {context.parts.map((part, index) => (
              <details key={part.name} className="tool-card">
                <summary>
                  <span className="dot" style={{ color: COLOURS[index % COLOURS.length] }} />
                  <b className="grow breakable">{nameOf(part.name)}</b>
                  <span className="faint small nowrap">{part.tokens.toLocaleString()} tokens</span>
                </summary>
                <div className="tool-card-body">
                  <pre className="code" tabIndex={0}>
                    {part.text || "It is empty."}
                  </pre>
                </div>
              </details>
            ))}
          </div>
          <div className="row wrap tight">
            <span className="soft small">Tools:</span>
            {context.tools.length === 0 && <span className="faint small">none</span>}
            {context.tools.map((tool) => (
              <Badge key={tool} verbatim>{tool}</Badge>
            ))}
          </div>
        </>
      )}
    </>
  );
}
