import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { ArrowLeft, CirclePlay, X } from "lucide-react";
import { useQueryClient } from "@tanstack/react-query";
import { useEvents } from "../../api/hooks";
import { rpc, RpcError } from "../../api/rpc";
import type { CallAnswer, ToolRow } from "../../api/types";
import { milliseconds } from "../../api/text";
import { fieldsOf, readTyped, type Typed } from "../../forms/schema";
import { SchemaForm } from "../../forms/SchemaForm";
import { Badge, Button, ErrorNote } from "../../ui/parts";
import { ResultView } from "./ResultView";

interface Progress {
  fraction: number | null;
  message: string;
}

let calls = 0;

function ProgressBar({ progress }: { progress: Progress | null }) {
  const share = progress?.fraction ?? null;
  return (
    <div className="stack tight" role="status">
      <div className={share === null ? "progress unknown" : "progress"}>
        <i style={share === null ? undefined : { width: `${Math.round(share * 100)}%` }} />
      </div>
      <p className="small soft">{progress?.message || "It runs."}</p>
    </div>
  );
}

export function ToolPanel({ tool, own }: { tool: ToolRow; own: string }) {
  const fields = useMemo(() => fieldsOf(tool.inputSchema), [tool.inputSchema]);
  const [typed, setTyped] = useState<Typed>({});
  const [faults, setFaults] = useState<Record<string, string>>({});
  const [answer, setAnswer] = useState<CallAnswer | null>(null);
  const [error, setError] = useState<RpcError | null>(null);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [running, setRunning] = useState<{ id: string; abort: AbortController } | null>(null);
  const current = useRef("");
  const client = useQueryClient();

  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), [faults]);
  useEvents("calls", (event) => {
    if (event.kind === "progress" && event.data.callId === current.current) setProgress(event.data as unknown as Progress);
  });

  async function call(event: FormEvent) {
    event.preventDefault();
    const read = readTyped(fields, typed);
    setFaults(read.faults);
    if (Object.keys(read.faults).length) return;
    calls += 1;
    const id = `ui-${Date.now()}-${calls}`;
    const abort = new AbortController();
    current.current = id;
    setRunning({ id, abort });
    setAnswer(null);
    setError(null);
    setProgress(null);
    try {
      const params = { agent: tool.agent, tool: own, arguments: read.arguments, callId: id };
      setAnswer(await rpc<CallAnswer>("tools.call", params, abort.signal));
    } catch (caught) {
      if (!abort.signal.aborted) setError(caught instanceof RpcError ? caught : new RpcError(String(caught), "FAILED"));
    } finally {
      setRunning(null);
      void client.invalidateQueries({ queryKey: ["audit.list"] });
    }
  }

  return (
    <section className="card stack" aria-labelledby="tool-title">
      <Link href="/tools" className="button quiet small tool-back">
        <ArrowLeft size={15} aria-hidden /> All tools
      </Link>
      <div>
        <div className="row wrap tight">
          <h2 id="tool-title">{tool.title || own}</h2>
          <Badge verbatim>{tool.agent}</Badge>
        </div>
        {tool.title && tool.title !== own && <p className="mono faint">{own}</p>}
        <p className="soft">{tool.description}</p>
      </div>
      <form className="stack" onSubmit={call} ref={form}>
        <SchemaForm fields={fields} typed={typed} faults={faults} onType={(name, text) => setTyped((before) => ({ ...before, [name]: text }))} />
        <div className="row tight">
          <Button kind="primary" type="submit" busy={running !== null} icon={<CirclePlay size={16} aria-hidden />}>
            Call
          </Button>
          {running && (
            <Button icon={<X size={15} aria-hidden />} onClick={() => running.abort.abort()}>
              Stop waiting
            </Button>
          )}
        </div>
      </form>
      {running && <ProgressBar progress={progress} />}
      {error && <ErrorNote error={error} />}
      {answer && (
        <div className="stack tight" aria-live="polite">
          <div className="row tight">
            <h3>Result</h3>
            <Badge tone={answer.isError ? "bad" : "good"}>{answer.isError ? "The tool failed" : "Done"}</Badge>
            <span className="faint small">{milliseconds(answer.ms)}</span>
          </div>
          <ResultView answer={answer} />
        </div>
      )}
    </section>
  );
}
