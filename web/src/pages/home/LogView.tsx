import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { plainText } from "../../api/ansi";
import { readControl, type SocketError, socketUrl } from "../../api/socket";
import { Badge, Note } from "../../ui/parts";

const MOST_CHARS = 400_000;

/** What an agent printed and prints; it stays at the end unless somebody scrolled up. */
export function LogView({ agent }: { agent: string }) {
  const [text, setText] = useState("");
  const [error, setError] = useState<SocketError | null>(null);
  const [live, setLive] = useState(false);
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);

  useEffect(() => {
    const socket = new WebSocket(socketUrl("/ws/logs", { agent }));
    socket.onopen = () => setLive(true);
    socket.onclose = () => setLive(false);
    socket.onmessage = (message) => {
      const data = String(message.data);
      const control = readControl(data);
      if (control?.error) setError(control.error);
      else setText((before) => (before + plainText(data)).slice(-MOST_CHARS));
    };
    return () => socket.close();
  }, [agent]);

  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);

  if (error) {
    return (
      <Note kind="info" title={error.message}>
        {error.hint}
      </Note>
    );
  }
  return (
    <div className="stack tight">
      <pre
        className="code log"
        tabIndex={0}
        role="log"
        aria-label={`Log of ${agent}`}
        ref={box}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < 24;
        }}
      >
        {text || <span className="faint">{live ? "It has printed nothing yet." : "Connecting"}</span>}
      </pre>
      <div className="row tight small">
        <Badge tone={live ? "good" : "plain"} dot pulse={live}>
          {live ? "Following" : "Ended"}
        </Badge>
      </div>
    </div>
  );
}
