import { useState } from "react";
import { useCall } from "../../api/hooks";
import { bytes } from "../../api/text";
import { ErrorNote, Skeleton } from "../../ui/parts";
import type { PartProps } from "./Assistants";
import { FileEditor } from "./FileEditor";

interface SubstrateFile {
  name: string;
  when: string;
  exists: boolean;
  bytes: number;
}

/** The files that make an assistant who it is. */
export function Files({ profile }: PartProps) {
  const { profileId } = profile;
  const files = useCall<SubstrateFile[]>("substrate.list", { profileId });
  const [name, setName] = useState("");
  const chosen = name || files.data?.[0]?.name || "";
  if (files.error) return <ErrorNote error={files.error} />;
  if (!files.data) return <Skeleton lines={5} />;
  return (
    <div className="split">
      <ul className="plain file-list" aria-label="Files">
        {files.data.map((file) => (
          <li key={file.name}>
            <button type="button" aria-current={file.name === chosen ? "true" : undefined} onClick={() => setName(file.name)}>
              <span className="mono">{file.name}</span>
              <span className="faint small">
                {file.when.replaceAll("_", " ")} · {file.exists ? bytes(file.bytes) : "not there"}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {chosen && <FileEditor key={chosen} profileId={profileId} name={chosen} read="substrate.get" write="substrate.update" stale={["substrate.list", "context.preview"]} />}
    </div>
  );
}
