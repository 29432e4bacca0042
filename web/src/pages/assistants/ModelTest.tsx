import { useState } from "react";
import { useChange } from "../../api/hooks";
import { milliseconds } from "../../api/text";
import { Dialog } from "../../ui/Dialog";
import { Badge, Button, ErrorNote, Note, Skeleton } from "../../ui/parts";

interface Diagnosis {
  modelId: string;
  good: boolean;
  findings: { what: string; good: boolean; detail: string; hint: string | null }[];
  servedBy: string | null;
  firstPieceMs: number | null;
}

interface Props {
  profileId?: string;
  modelId?: string;
  small?: boolean;
}

/** One tiny call to a model (an assistant's own, if none is named), and what is wrong if it fails. */
export function ModelTest({ small, ...which }: Props) {
  const [open, setOpen] = useState(false);
  const test = useChange<object, Diagnosis>("provider.test");
  const found = test.data;
  return (
    <>
      <Button
        size={small ? "small" : "normal"}
        label={small ? `Test ${which.modelId}` : undefined}
        onClick={() => {
          setOpen(true);
          test.mutate(which);
        }}
      >
        {small ? "Test" : "Test the model"}
      </Button>
      <Dialog open={open} onClose={() => setOpen(false)} title="Test of the model">
        {test.isPending && <Skeleton lines={4} />}
        {test.error && <ErrorNote error={test.error} />}
        {found && (
          <>
            <Note kind={found.good ? "good" : "bad"} title={found.good ? `${found.modelId} answers.` : `${found.modelId} does not answer.`}>
              {found.firstPieceMs !== null && `Its first word took ${milliseconds(found.firstPieceMs)}.`}
            </Note>
            <ul className="plain stack tight">
              {found.findings.map((finding, index) => (
                <li key={index}>
                  <div className="row wrap tight">
                    <Badge tone={finding.good ? "good" : "bad"}>{finding.what}</Badge>
                    <span>{finding.detail}</span>
                  </div>
                  {finding.hint && <p className="soft small">{finding.hint}</p>}
                </li>
              ))}
            </ul>
          </>
        )}
      </Dialog>
    </>
  );
}
