import { Bot, RotateCw, Trash2 } from "lucide-react";
import { clock, stamp } from "../../api/text";
import { Button, Note } from "../../ui/parts";
import type { LiveRun } from "./live";
import { Markdown } from "./Markdown";
import { ToolCard } from "./ToolCard";
import type { Message } from "./types";
import type { Outgoing } from "./useThread";

function resultsOf(messages: Message[]): Map<string, Message> {
  return new Map(messages.filter((message) => message.role === "tool" && message.toolCallId).map((message) => [message.toolCallId ?? "", message]));
}

function Assistant({ message, results, pending }: { message: Message; results: Map<string, Message>; pending: boolean }) {
  return (
    <>
      {message.content && <Markdown text={message.content} />}
      {message.toolCalls?.map((call) => {
        const result = results.get(call.id);
        const ended = result ? result.content : pending ? null : "It was not run to its end.";
        return <ToolCard key={call.id} name={call.name} arguments={call.arguments} result={ended} isError={result?.isError ?? (!result && !pending)} />;
      })}
    </>
  );
}

const ENDED = { cancelled: "stopped", interrupted: "cut off" };

function KeptMessage({ message, results, pending }: { message: Message; results: Map<string, Message>; pending: boolean }) {
  if (message.role === "tool") return null;
  if (message.role === "user") {
    return (
      <li className="bubble mine" data-message={message.id}>
        <p className="said">{message.content}</p>
        <time className="faint" dateTime={message.at} title={stamp(message.at)}>
          {clock(message.at)}
        </time>
      </li>
    );
  }
  return (
    <li className="bubble theirs" data-message={message.id}>
      <Assistant message={message} results={results} pending={pending} />
      <time className="faint" dateTime={message.at} title={stamp(message.at)}>
        {clock(message.at)}
        {message.status && ` · ${ENDED[message.status] ?? message.status}`}
        {message.source && message.source !== "chat" && message.source !== "user" ? ` · ${message.source}` : ""}
      </time>
    </li>
  );
}

function Waiting({ message, onAgain, onDrop }: { message: Outgoing; onAgain: () => void; onDrop: () => void }) {
  return (
    <li className={message.error ? "bubble mine unsent" : "bubble mine sending"}>
      <p className="said">{message.text}</p>
      {message.error ? (
        <div className="row wrap tight small" role="alert">
          <span className="bad-text">Not sent: {message.error.message}</span>
          <Button size="small" icon={<RotateCw size={13} aria-hidden />} onClick={onAgain}>
            Send again
          </Button>
          <Button size="small" kind="quiet" icon={<Trash2 size={14} />} label="Drop this message" onClick={onDrop} />
        </div>
      ) : (
        <span className="faint small">Sending</span>
      )}
    </li>
  );
}

function Live({ run, shown }: { run: LiveRun; shown: Set<string> }) {
  const items = run.items.filter((item) => !shown.has(item.id));
  const silent = run.status !== "ended" && items.every((item) => item.kind !== "text" || !item.text);
  return (
    <li className="bubble theirs" aria-busy={run.status !== "ended"}>
      {run.thinking && (
        <details className="thinking small">
          <summary>Thoughts</summary>
          <p className="soft said">{run.thinking}</p>
        </details>
      )}
      {items.map((item) =>
        item.kind === "text" ? (
          <Markdown key={item.id} text={item.text} />
        ) : (
          <ToolCard key={item.id} name={item.name} arguments={item.arguments} result={item.text} isError={item.isError} progress={item.progress} fraction={item.fraction} />
        ),
      )}
      {silent && (
        <p className="faint small typing" role="status">
          {run.notice || (run.status === "queued" ? "Waiting for its turn" : "At work")}
          <span className="dots" aria-hidden />
        </p>
      )}
      {run.error && (
        <Note kind="bad" title={run.error.message}>
          {run.error.hint}
        </Note>
      )}
    </li>
  );
}

interface Props {
  messages: Message[];
  live: LiveRun | null;
  outgoing: Outgoing[];
  onAgain: (message: Outgoing) => void;
  onDrop: (id: string) => void;
}

export function Messages({ messages, live, outgoing, onAgain, onDrop }: Props) {
  const results = resultsOf(messages);
  const ids = new Set([...messages.map((message) => message.id), ...messages.flatMap((message) => message.toolCalls?.map((call) => call.id) ?? [])]);
  const waiting = outgoing.filter((message) => !ids.has(message.id));
  const busy = live !== null && live.status !== "ended";
  const liveShows = live && (live.status !== "ended" || live.error !== null || live.items.some((item) => !ids.has(item.id)));
  return (
    <div role="log" aria-label="Messages">
    <ol className="messages plain">
      {messages.map((message) => (
        <KeptMessage key={message.id} message={message} results={results} pending={busy && message.runId === live?.runId} />
      ))}
      {liveShows && <Live run={live} shown={ids} />}
      {waiting.map((message) => (
        <Waiting key={message.id} message={message} onAgain={() => onAgain(message)} onDrop={() => onDrop(message.id)} />
      ))}
    </ol>
    </div>
  );
}

export function Greeting({ name }: { name: string }) {
  return (
    <div className="empty">
      <Bot size={36} strokeWidth={1.5} aria-hidden />
      <h2>Say something to {name}</h2>
      <p>
        Without a model it still answers <code>/help</code>, <code>/tools</code> and <code>/call</code>. Everything you say is kept on your own
        machine and seen on all your devices.
      </p>
    </div>
  );
}
