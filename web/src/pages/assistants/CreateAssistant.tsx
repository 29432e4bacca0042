import { type FormEvent, useState } from "react";
import { useCall, useChange } from "../../api/hooks";
import { RpcError } from "../../api/rpc";
import type { ConfigAnswer } from "../../api/types";
import { Dialog } from "../../ui/Dialog";
import { Button, ErrorNote, Field } from "../../ui/parts";

interface Props {
  open: boolean;
  onClose: () => void;
  onMade: (id: string) => void;
}

interface Wish {
  id: string;
  name?: string;
  modelId?: string;
}

export function ModelChoice({ value, onChange, label = "Model" }: { value: string; onChange: (id: string) => void; label?: string }) {
  const config = useCall<ConfigAnswer>("config.get");
  const models = Object.keys((config.data?.settings.models as object | undefined) ?? {});
  const all = value && value !== "offline" && !models.includes(value) ? [value, ...models] : models;
  return (
    <Field label={label} help={models.length ? undefined : "No model is configured yet: see Settings, Models."}>
      {(props) => (
        <select {...props} className="input" value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">The workspace's default</option>
          {all.map((id) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CreateAssistant({ open, onClose, onMade }: Props) {
  const [id, setId] = useState("");
  const [name, setName] = useState("");
  const [model, setModel] = useState("");
  const [error, setError] = useState<RpcError | null>(null);
  const create = useChange<Wish>("profile.create", ["profile.list"]);

  function make(event: FormEvent) {
    event.preventDefault();
    setError(null);
    create.mutate(
      { id, ...(name.trim() && { name: name.trim() }), ...(model && { modelId: model }) },
      {
        onSuccess: () => {
          onMade(id);
          setId("");
          setName("");
        },
        onError: setError,
      },
    );
  }

  return (
    <Dialog open={open} onClose={onClose} title="New assistant">
      <form className="stack" onSubmit={make}>
        <Field label="Id" help="Small letters, digits, _ and -. Its folder is assistants/ID." fault={error?.field === "id" ? error.message : undefined}>
          {(props) => <input {...props} className="input mono" required pattern="[a-z0-9][a-z0-9_\-]{0,63}" value={id} onChange={(event) => setId(event.target.value)} autoComplete="off" />}
        </Field>
        <Field label="Name">
          {(props) => <input {...props} className="input" maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <ModelChoice value={model} onChange={setModel} />
        {error && error.field !== "id" && <ErrorNote error={error} />}
        <div className="dialog-foot">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={create.isPending}>
            Make it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
