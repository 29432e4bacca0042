import { useEffect, useRef, useState } from "react";
import { Terminal } from "@xterm/xterm";
import { FitAddon } from "@xterm/addon-fit";
import "@xterm/xterm/css/xterm.css";
import { readControl, type SocketError, socketUrl } from "../../api/socket";
import { useShownTheme } from "../../app/theme";
import { Badge, Note } from "../../ui/parts";
import { documentWithoutInlineStyle, withoutInlineStyle } from "./inline_style";

const THEMES = {
  light: { background: "#ffffff", foreground: "#1c1d1f", cursor: "#0f766e", cursorAccent: "#ffffff", selectionBackground: "#cdeae5", black: "#1c1d1f", brightBlack: "#6b6e74", red: "#b42318", green: "#15803d", yellow: "#92560a", blue: "#1d5fa8", magenta: "#86309c", cyan: "#0f766e", white: "#54575c", brightWhite: "#1c1d1f" },
  dark: { background: "#121418", foreground: "#eceef0", cursor: "#4fd1c1", cursorAccent: "#121418", selectionBackground: "#1f4a44" },
};

type State = { kind: "open" | "connecting" } | { kind: "ended"; code?: number } | { kind: "failed"; error: SocketError };

function connect(agent: string, box: HTMLElement, theme: keyof typeof THEMES, onState: (state: State) => void) {
  const terminal = new Terminal({
    theme: THEMES[theme],
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 13.5,
    lineHeight: 1.2,
    cursorBlink: true,
    scrollback: 5000,
    screenReaderMode: true,
    documentOverride: documentWithoutInlineStyle(),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  withoutInlineStyle(() => terminal.open(box));
  fit.fit();
  const socket = new WebSocket(socketUrl("/ws/terminal", { agent, rows: terminal.rows, cols: terminal.cols }));
  socket.binaryType = "arraybuffer";
  const encoder = new TextEncoder();
  const send = (data: Uint8Array<ArrayBuffer> | string) => socket.readyState === WebSocket.OPEN && socket.send(data);
  socket.onopen = () => {
    onState({ kind: "open" });
    terminal.focus();
  };
  let over: State | null = null;
  socket.onmessage = (message) => {
    if (typeof message.data !== "string") return terminal.write(new Uint8Array(message.data as ArrayBuffer));
    const control = readControl(message.data);
    if (control?.error) over = { kind: "failed", error: control.error };
    else over = { kind: "ended", code: control?.exit };
  };
  socket.onclose = () => onState(over ?? { kind: "ended" });
  terminal.onData((text) => send(encoder.encode(text)));
  terminal.onBinary((text) => send(Uint8Array.from(text, (char) => char.charCodeAt(0))));
  terminal.onResize(({ rows, cols }) => send(JSON.stringify({ resize: [rows, cols] })));
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(box);
  return {
    paint: (name: keyof typeof THEMES) => {
      terminal.options.theme = THEMES[name];
    },
    end: () => {
      observer.disconnect();
      socket.onclose = null;
      socket.close();
      terminal.dispose();
    },
  };
}

export default function TerminalView({ agent }: { agent: string }) {
  const box = useRef<HTMLDivElement>(null);
  const theme = useShownTheme();
  const live = useRef<ReturnType<typeof connect> | null>(null);
  const first = useRef(theme);
  const [state, setState] = useState<State>({ kind: "connecting" });

  useEffect(() => {
    if (!box.current) return;
    live.current = connect(agent, box.current, first.current, setState);
    return () => live.current?.end();
  }, [agent]);
  useEffect(() => live.current?.paint(theme), [theme]);

  return (
    <>
      <div className="row tight">
        <Badge tone={state.kind === "open" ? "good" : state.kind === "failed" ? "bad" : "plain"} dot>
          {{ open: `Inside ${agent}`, connecting: "Connecting", ended: "The shell has ended", failed: "No shell" }[state.kind]}
          {state.kind === "ended" && state.code !== undefined && ` (${state.code})`}
        </Badge>
        <span className="faint small">Shift+Esc leaves it by keyboard.</span>
      </div>
      {state.kind === "failed" && (
        <Note kind="bad" title={state.error.message}>
          {state.error.hint}
        </Note>
      )}
      <div
        className="terminal-box"
        ref={box}
        role="group"
        aria-label={`Shell inside ${agent}`}
        onKeyDownCapture={(event) => {
          if (event.key !== "Escape" || !event.shiftKey) return;
          event.stopPropagation();
          document.getElementById("main")?.focus();
        }}
      />
    </>
  );
}
