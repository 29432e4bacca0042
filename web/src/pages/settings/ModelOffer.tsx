import { useState } from "react";
import { ListTree } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { ConfigAnswer, JsonMap } from "../../api/types";
import { bytes } from "../../api/text";
import { Dialog } from "../../ui/Dialog";
import { Badge, Button, Empty, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { modelKeyOf } from "./providers";

interface Offered {
  name: string;
  contextTokens: number | null;
  tools: boolean | null;
  images: boolean | null;
  sizeBytes: number | null;
  description: string | null;
}

interface Props {
  id: string;
  model: JsonMap;
}

const MOST = 200;

function about(offered: Offered): string {
  return [
    offered.contextTokens !== null && `${offered.contextTokens.toLocaleString()} tokens`,
    offered.tools && "tools",
    offered.images && "images",
    offered.sizeBytes !== null && bytes(offered.sizeBytes),
  ]
    .filter(Boolean)
    .join(" · ");
}

function Offer({ id, model }: Props) {
  const toast = useToast();
  const [text, setText] = useState("");
  const key = modelKeyOf(model.provider);
  const offered = useCall<{ models: Offered[] }>("provider.models.list", { modelId: id }, { staleTime: 0 });
  const patch = useChange<{ patch: JsonMap }, ConfigAnswer>("config.patch", ["config.get", "profile.list"]);
  const rows = (offered.data?.models ?? []).filter((row) => row.name.toLowerCase().includes(text.trim().toLowerCase()));
  const use = (name: string) =>
    patch.mutate({ patch: { models: { [id]: { ...model, [key]: name } } } }, { onSuccess: () => toast.say(`${id} is ${name} from now on.`), onError: toast.fail });

  if (offered.error) return <ErrorNote error={offered.error} onRetry={() => void offered.refetch()} />;
  if (!offered.data) return <Skeleton lines={5} />;
  if (offered.data.models.length === 0) return <Empty title="It names no models">Type the model's name by hand.</Empty>;
  return (
    <>
      {offered.data.models.length > 8 && (
        <Field label={<span className="hidden-text">Find a model</span>}>
          {(props) => <input {...props} className="input" type="search" placeholder="Find a model" value={text} onChange={(event) => setText(event.target.value)} />}
        </Field>
      )}
      <div className="table-wrap" tabIndex={0} role="group" aria-label="Models on offer">
        <table>
          <tbody>
            {rows.slice(0, MOST).map((row) => (
              <tr key={row.name}>
                <td>
                  <span className="mono breakable">{row.name}</span>
                  {row.description && <div className="soft small">{row.description}</div>}
                </td>
                <td className="soft small">{about(row)}</td>
                <td className="number nowrap">
                  {row.name === model[key] ? (
                    <Badge tone="accent">in use</Badge>
                  ) : (
                    <Button size="small" disabled={patch.isPending} label={`Use ${row.name}`} onClick={() => use(row.name)}>
                      Use
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** What the provider of an entry has, asked of it now; one is chosen for the entry. */
export function ModelOffer({ id, model }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button size="small" kind="quiet" icon={<ListTree size={15} />} label={`What ${id}'s provider offers`} onClick={() => setOpen(true)} />
      <Dialog open={open} onClose={() => setOpen(false)} title={`What the provider of ${id} offers`}>
        <Offer id={id} model={model} />
      </Dialog>
    </>
  );
}
