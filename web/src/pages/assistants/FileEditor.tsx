import { useEffect, useState } from "react";
import { useCall, useChange } from "../../api/hooks";
import { Button, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";

interface Props {
  profileId: string;
  name: string;
  read: string;
  write: string;
  /** What the methods call the file, if anything: some have only one. */
  params?: object;
  stale: string[];
}

/** A Markdown file of an assistant: what is shown as kept is kept. */
export function FileEditor({ profileId, name, read, write, params = { name }, stale }: Props) {
  const toast = useToast();
  const file = useCall<{ text: string | null }>(read, { profileId, ...params });
  const save = useChange<object>(write, [read, ...stale]);
  const kept = file.data?.text ?? "";
  const [text, setText] = useState<string | null>(null);
  useEffect(() => setText(null), [name]);
  const shown = text ?? kept;
  const changed = shown !== kept;
  if (file.error) return <ErrorNote error={file.error} onRetry={() => void file.refetch()} />;
  if (!file.data) return <Skeleton lines={6} />;
  return (
    <form
      className="stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate({ profileId, ...params, text: shown }, { onSuccess: () => toast.say(`${name} is kept.`), onError: toast.fail });
      }}
    >
      <Field label={name} help={file.data.text === null ? "There is no such file yet; saving makes it." : `${shown.length.toLocaleString()} characters${changed ? ", not kept yet" : ""}`}>
        {(props) => <textarea {...props} className="input mono editor" value={shown} onChange={(event) => setText(event.target.value)} />}
      </Field>
      <div className="row tight">
        <Button kind="primary" type="submit" disabled={!changed} busy={save.isPending}>
          Save
        </Button>
        <Button disabled={!changed} onClick={() => setText(null)}>
          Undo
        </Button>
      </div>
    </form>
  );
}
