import { type ChangeEvent, type KeyboardEvent, useLayoutEffect, useRef, useState } from "react";
import { Paperclip, SendHorizontal, Square } from "lucide-react";
import { Button } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { attach } from "./attach";

interface Props {
  root: string | null;
  running: boolean;
  offline: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}

const MOST_HEIGHT = 220;

export function Composer({ root, running, offline, onSend, onStop }: Props) {
  const [text, setText] = useState("");
  const [sending, setSending] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const toast = useToast();

  useLayoutEffect(() => {
    if (!area.current) return;
    area.current.style.height = "auto";
    area.current.style.height = `${Math.min(MOST_HEIGHT, area.current.scrollHeight)}px`;
  }, [text]);

  function send() {
    if (!text.trim() || offline) return;
    onSend(text.trim());
    setText("");
    area.current?.focus();
  }

  function onKey(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  }

  async function onFiles(event: ChangeEvent<HTMLInputElement>) {
    const chosen = [...(event.target.files ?? [])];
    event.target.value = "";
    if (!root) return;
    setSending(true);
    try {
      for (const each of chosen) {
        const name = await attach(root, each);
        setText((before) => `${before}${before && !before.endsWith("\n") ? "\n" : ""}[file: ${name}]\n`);
      }
    } catch (error) {
      toast.fail(error);
    } finally {
      setSending(false);
      area.current?.focus();
    }
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <input ref={file} type="file" multiple hidden onChange={(event) => void onFiles(event)} aria-label="Files to attach" />
      <Button kind="quiet" icon={<Paperclip size={18} />} label="Attach a file to the assistant's workspace" busy={sending} disabled={!root || offline} onClick={() => file.current?.click()} />
      <textarea
        ref={area}
        rows={1}
        aria-label="Message"
        placeholder={offline ? "Offline: messages cannot be sent" : "Message"}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKey}
      />
      {running && <Button icon={<Square size={15} />} label="Stop" onClick={onStop} />}
      <Button kind="primary" type="submit" icon={<SendHorizontal size={17} />} label="Send" disabled={!text.trim() || offline} />
    </form>
  );
}
