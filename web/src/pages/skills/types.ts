export interface Finding {
  rule: string;
  verdict: string;
  file: string;
  line: number | null;
  text: string;
  reason: string;
}

export interface Step {
  label: string;
  argv: string[];
  hosts: string[];
  byHand: boolean;
}

/** What would be installed, and how it was judged. */
export interface Proposal {
  id: string;
  verdict: string;
  digest: string;
  findings: Finding[];
  steps: Step[];
  credentials: string[];
  difference: string | null;
}

export interface Skill {
  id: string;
  description?: string;
  source?: string;
  version?: string | null;
  verdict?: string;
  credentials?: string[];
  files: number;
  changed: string[];
}

export interface KeyRow {
  name: string;
  present: boolean;
  declared: boolean;
}
