import { useLayoutEffect, useRef } from "react";
import { CircleStop } from "lucide-react";
import { plainText } from "../../api/ansi";
import { useCall, useChange } from "../../api/hooks";
import { ago, stamp } from "../../api/text";
import { Dialog } from "../../ui/Dialog";
import { Button, ErrorNote, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { StateBadge } from "./TasksPart";
import type { TaskFacts } from "./types";

const LOOK_AGAIN_MS = 1000;

function Tail({ text }: { text: string }) {
  const box = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return (
    <pre ref={box} className="code log" role="log" aria-label="End of its log" tabIndex={0}>
      {plainText(text) || "It has printed nothing."}
    </pre>
  );
}

/** One task as it goes: what it says, the end of its log, its result; and an end to it. */
export function TaskDialog({ taskId, onClose }: { taskId: string; onClose: () => void }) {
  const toast = useToast();
  const task = useCall<TaskFacts>("tasks.get", { taskId }, { refetchInterval: LOOK_AGAIN_MS });
  const cancel = useChange<{ taskId: string }>("tasks.cancel", ["tasks.get", "tasks.list"]);
  const facts = task.data;
  return (
    <Dialog open onClose={onClose} title={facts ? `${facts.agent}.${facts.tool}` : "Task"} wide>
      {task.error && <ErrorNote error={task.error} />}
      {!facts && !task.error && <Skeleton lines={5} />}
      {facts && (
        <>
          <div className="row wrap tight">
            <StateBadge state={facts.state} moving={!facts.ended} />
            <span className="soft small" title={stamp(facts.createdAt)}>
              begun {ago(facts.createdAt)} ago by {facts.caller}
            </span>
            <span className="grow" />
            {!facts.ended && (
              <Button kind="danger" size="small" icon={<CircleStop size={15} aria-hidden />} busy={cancel.isPending} onClick={() => cancel.mutate({ taskId }, { onSuccess: () => toast.say("The task was ended."), onError: toast.fail })}>
                Cancel it
              </Button>
            )}
          </div>
          {facts.message && <p className="soft">{facts.message}</p>}
          {!facts.ended && (
            <div className={facts.fraction === null ? "progress unknown" : "progress"}>
              <i style={facts.fraction === null ? undefined : { width: `${Math.round(facts.fraction * 100)}%` }} />
            </div>
          )}
          <h3>Log</h3>
          <Tail text={facts.logTail} />
          {facts.text !== null && (
            <>
              <h3>{facts.state === "failed" ? "Error" : "Result"}</h3>
              <pre className="code" tabIndex={0}>
                {facts.text || "It answered nothing."}
              </pre>
            </>
          )}
        </>
      )}
    </Dialog>
  );
}
