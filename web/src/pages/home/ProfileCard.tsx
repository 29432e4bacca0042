// The active profile and what `profile validate` says of it.

import { Link } from "wouter";
import { useCall } from "../../api/hooks";
import type { Gateway, Validated } from "../../api/types";
import { plural } from "../../api/text";
import { Badge, ErrorNote, Note, Skeleton } from "../../ui/parts";

type Report = Validated["agents"][number];

function faultsOf(report: Report): string[] {
  const checks = [
    ...(report.environment ?? []).map((each) => ({ ...each, what: "variable" })),
    ...(report.secrets ?? []).map((each) => ({ ...each, what: "secret" })),
    ...(report.scripts ?? []).map((each) => ({ ...each, what: "script" })),
  ];
  const missing = checks.filter((each) => !each.ok).map((each) => `${each.what} ${each.name ?? each.script} is missing`);
  return [report.manifest, report.definition, ...missing].filter((text): text is string => Boolean(text));
}

export function ProfileCard() {
  const gateway = useCall<Gateway>("gateway.status");
  const validated = useCall<Validated>("envprofile.validate");
  const faulty = (validated.data?.agents ?? []).map((report) => ({ agent: report.agent, faults: faultsOf(report) })).filter((each) => each.faults.length);
  const warnings = (validated.data?.agents ?? []).flatMap((report) => (report.warnings ?? []).map((text) => (text.includes(report.agent) ? text : `${report.agent}: ${text}`)));
  return (
    <section className="card" aria-labelledby="profile-title">
      <div className="card-head">
        <h2 id="profile-title">Profile</h2>
        <Badge tone="accent" verbatim>{gateway.data?.profile ?? validated.data?.profile ?? "default"}</Badge>
      </div>
      {validated.error && <ErrorNote error={validated.error} onRetry={() => void validated.refetch()} />}
      {validated.isPending && !validated.error && <Skeleton />}
      {validated.data && (
        <div className="stack tight">
          {faulty.length === 0 ? (
            <Note kind="good" title={validated.data.agents.length ? `All that ${plural(validated.data.agents.length, "agent")} need is there.` : "Nothing is asked for yet."} />
          ) : (
            <Note kind="bad" title={`${plural(validated.data.errors, "thing")} missing or wrong.`} />
          )}
          <ul className="plain stack tight small">
            {faulty.map(({ agent, faults }) => (
              <li key={agent}>
                <b>{agent}</b>
                {faults.map((fault) => (
                  <div key={fault} className="bad-text">
                    {fault}
                  </div>
                ))}
              </li>
            ))}
            {warnings.map((text) => (
              <li key={text} className="soft">
                {text}
              </li>
            ))}
          </ul>
          <p className="small">
            <Link href="/settings/environment">Profiles and secrets</Link>
          </p>
        </div>
      )}
    </section>
  );
}
