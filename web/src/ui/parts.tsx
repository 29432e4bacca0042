// Small parts without a subject: buttons, fields, notes, placeholders.

import { type ButtonHTMLAttributes, type ReactNode, useId } from "react";
import { CircleAlert, CircleCheck, Info, Loader2, TriangleAlert } from "lucide-react";
import { useLink } from "../api/hooks";
import { OfflineError, RpcError } from "../api/rpc";
import { sentence } from "../api/text";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "normal" | "primary" | "danger" | "quiet";
  size?: "normal" | "small";
  busy?: boolean;
  /** With an icon alone, `label` is its name. */
  icon?: ReactNode;
  label?: string;
  /** It changes something, so it waits for the gateway; what is primary or dangerous does so anyway. */
  changes?: boolean;
}

export function Button({ kind = "normal", size = "normal", busy, icon, label, changes, children, disabled, ...rest }: ButtonProps) {
  const offline = useLink() === "lost" && (changes || kind === "primary" || kind === "danger");
  const classes = ["button", kind !== "normal" && kind, size === "small" && "small", icon && !children && "icon"];
  return (
    <button
      type="button"
      {...rest}
      className={classes.filter(Boolean).join(" ")}
      disabled={disabled || busy || offline}
      aria-busy={busy || undefined}
      aria-label={label}
      title={offline ? "The gateway is away" : icon && !children ? label : undefined}
    >
      {busy ? <Loader2 size={16} className="spin" aria-hidden /> : icon}
      {children}
    </button>
  );
}

export function Spinner({ label }: { label: string }) {
  return (
    <span className="row tight soft" role="status">
      <Loader2 size={18} className="spin" aria-hidden />
      {label}
    </span>
  );
}

export type Tone = "plain" | "good" | "warn" | "bad" | "info" | "accent";

/** A word on a state; text begins with a capital, however the gateway writes it. `verbatim` is for names. */
export function Badge({ tone = "plain", dot, pulse, verbatim, children }: { tone?: Tone; dot?: boolean; pulse?: boolean; verbatim?: boolean; children: ReactNode }) {
  return (
    <span className={`badge ${tone}`}>
      {dot && <span className={pulse ? "dot pulse" : "dot"} aria-hidden />}
      {typeof children === "string" && !verbatim ? sentence(children) : children}
    </span>
  );
}

const NOTE_ICONS = { info: Info, good: CircleCheck, warn: TriangleAlert, bad: CircleAlert };

export function Note({ kind = "info", title, children }: { kind?: keyof typeof NOTE_ICONS; title?: ReactNode; children?: ReactNode }) {
  const Icon = NOTE_ICONS[kind];
  return (
    <div className={`note ${kind}`} role={kind === "bad" ? "alert" : undefined}>
      <Icon size={17} aria-hidden />
      <div className="grow">
        {title && <p>{title}</p>}
        {children && <div className={title ? "soft" : undefined}>{children}</div>}
      </div>
    </div>
  );
}

export function ErrorNote({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  if (error instanceof OfflineError) return <Note title="This was not loaded before">It is read once the gateway is back.</Note>;
  const known = error instanceof RpcError ? error : new RpcError(String(error), "FAILED");
  return (
    <Note kind="bad" title={known.message}>
      {known.hint && <p>{known.hint}</p>}
      {onRetry && (
        <p>
          <Button size="small" onClick={onRetry}>
            Try again
          </Button>
        </p>
      )}
    </Note>
  );
}

export function Empty({ icon, title, children, action }: { icon?: ReactNode; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      {icon}
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div className="stack tight" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="skeleton" style={{ width: `${92 - ((index * 23) % 45)}%` }} />
      ))}
    </div>
  );
}

export function PageSkeleton() {
  return (
    <div className="page">
      <Skeleton lines={6} />
    </div>
  );
}

export interface FieldProps {
  id: string;
  "aria-describedby"?: string;
  "aria-invalid"?: boolean;
}

interface Labelled {
  label: ReactNode;
  help?: ReactNode;
  fault?: ReactNode;
  children: (props: FieldProps) => ReactNode;
}

export function Field({ label, help, fault, children }: Labelled) {
  const id = useId();
  const told = fault || help ? `${id}-about` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": told, "aria-invalid": fault ? true : undefined })}
      {(fault || help) && (
        <div id={told} className={fault ? "fault" : "help"}>
          {fault || help}
        </div>
      )}
    </div>
  );
}

export function PageHead({ title, about, children }: { title: ReactNode; about?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div className="grow">
        <h1>{title}</h1>
        {about && <p>{about}</p>}
      </div>
      {children && <div className="row wrap tight">{children}</div>}
    </header>
  );
}
