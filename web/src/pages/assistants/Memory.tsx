import { type FormEvent, useState } from "react";
import { Search } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import { rpc } from "../../api/rpc";
import { Button, Empty, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { PartProps } from "./Assistants";
import { FileEditor } from "./FileEditor";

interface MemoryFile {
  name: string;
  bytes?: number;
}

interface Hit {
  path?: string;
  name?: string;
  text: string;
  heading?: string;
}

interface Proposal {
  id: string;
  path: string;
  text: string;
  why: string;
  status: string;
}

function Proposals({ profileId }: { profileId: string }) {
  const toast = useToast();
  const proposals = useCall<Proposal[]>("memory.proposals", { profileId });
  const settle = useChange<{ profileId: string; id: string; accept: boolean }>("memory.settle", ["memory.proposals", "memory.getFile", "memory.listLogs"]);
  const open = (proposals.data ?? []).filter((each) => each.status === "open" || each.status === "pending");
  return (
    <>
      {open.map((each) => (
        <div key={each.id} className="card ask-card stack tight">
          <h3>
            A change to <span className="mono">{each.path}</span> is proposed
          </h3>
          <p className="soft small">{each.why}</p>
          <pre className="code">{each.text}</pre>
          <div className="row tight">
            {[true, false].map((accept) => (
              <Button key={String(accept)} kind={accept ? "primary" : "normal"} disabled={settle.isPending} onClick={() => settle.mutate({ profileId, id: each.id, accept }, { onError: toast.fail })}>
                {accept ? "Accept" : "Reject"}
              </Button>
            ))}
          </div>
        </div>
      ))}
    </>
  );
}

function SearchBox({ profileId }: { profileId: string }) {
  const toast = useToast();
  const [query, setQuery] = useState("");
  const [hits, setHits] = useState<Hit[] | null>(null);

  async function search(event: FormEvent) {
    event.preventDefault();
    try {
      setHits(await rpc<Hit[]>("memory.search", { profileId, query }));
    } catch (error) {
      toast.fail(error);
    }
  }

  return (
    <form className="stack tight" onSubmit={(event) => void search(event)}>
      <Field label="Search what it remembers">
        {(props) => (
          <div className="row tight">
            <input {...props} className="input" type="search" required value={query} onChange={(event) => setQuery(event.target.value)} />
            <Button type="submit" icon={<Search size={16} />} label="Search" />
          </div>
        )}
      </Field>
      {hits?.length === 0 && <p className="soft small">Nothing fits.</p>}
      {hits && hits.length > 0 && (
        <ul className="plain stack tight">
          {hits.map((hit, index) => (
            <li key={index} className="hit small">
              <span className="faint mono">{hit.path ?? hit.name}</span>
              <p className="said">{hit.text}</p>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}

export function Memory({ profile }: PartProps) {
  const { profileId } = profile;
  const files = useCall<MemoryFile[]>("memory.listLogs", { profileId });
  const [name, setName] = useState("");
  const chosen = name || files.data?.[0]?.name || "";
  if (files.error) return <ErrorNote error={files.error} />;
  if (!files.data) return <Skeleton lines={5} />;
  return (
    <>
      <SearchBox profileId={profileId} />
      <Proposals profileId={profileId} />
      {files.data.length === 0 ? (
        <Empty title="It remembers nothing yet">Tell it to remember something, or write its MEMORY.md.</Empty>
      ) : (
        <div className="split">
          <ul className="plain file-list" aria-label="Memory files">
            {files.data.map((file) => (
              <li key={file.name}>
                <button type="button" aria-current={file.name === chosen ? "true" : undefined} onClick={() => setName(file.name)}>
                  <span className="mono">{file.name}</span>
                </button>
              </li>
            ))}
          </ul>
          {chosen && <FileEditor key={chosen} profileId={profileId} name={chosen} read="memory.getFile" write="memory.writeFile" stale={["memory.listLogs"]} />}
        </div>
      )}
    </>
  );
}
