import type { ReactNode } from "react";
import { Field, type FieldProps } from "../ui/parts";
import type { FieldKind, FormField, Typed } from "./schema";

interface Props {
  fields: FormField[];
  typed: Typed;
  faults: Record<string, string>;
  onType: (name: string, text: string) => void;
}

type Draw = (field: FormField, text: string, onType: (text: string) => void, props: FieldProps) => ReactNode;

const plain =
  (type: string, step?: string): Draw =>
  (field, text, onType, props) => (
    <input {...props} className="input" type={type} step={step} required={field.required} value={text} onChange={(event) => onType(event.target.value)} />
  );

const area =
  (rows: number, mono: boolean): Draw =>
  (field, text, onType, props) => (
    <textarea {...props} className={mono ? "input mono" : "input"} rows={rows} required={field.required} spellCheck={!mono} value={text} onChange={(event) => onType(event.target.value)} />
  );

const DRAWN: Record<FieldKind, Draw> = {
  text: plain("text"),
  number: plain("number", "any"),
  integer: plain("number", "1"),
  long: area(4, true),
  texts: area(3, false),
  json: area(4, true),
  boolean: (field, text, onType, props) => (
    <select {...props} className="input" value={text} onChange={(event) => onType(event.target.value)}>
      {!field.required && <option value="">Not given</option>}
      <option value="true">Yes</option>
      <option value="false">No</option>
    </select>
  ),
  choice: (field, text, onType, props) => (
    <select {...props} className="input" required={field.required} value={text} onChange={(event) => onType(event.target.value)}>
      <option value="">{field.required ? "Choose" : "Not given"}</option>
      {field.choices.map((choice) => {
        const value = typeof choice === "string" ? choice : JSON.stringify(choice);
        return (
          <option key={value} value={value}>
            {value}
          </option>
        );
      })}
    </select>
  ),
};

const HINTS: Partial<Record<FieldKind, string>> = { texts: "One per line.", json: "As JSON." };

export function SchemaForm({ fields, typed, faults, onType }: Props) {
  if (fields.length === 0) return <p className="soft small">It takes no arguments.</p>;
  return (
    <>
      {fields.map((field) => (
        <Field
          key={field.name}
          label={
            <>
              {field.title} {!field.required && <span className="faint small">optional</span>}
            </>
          }
          help={[field.help, HINTS[field.kind]].filter(Boolean).join(" ")}
          fault={faults[field.name]}
        >
          {(props) => DRAWN[field.kind](field, typed[field.name] ?? field.initial, (text) => onType(field.name, text), props)}
        </Field>
      ))}
    </>
  );
}
