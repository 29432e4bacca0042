// From a JSON Schema to the fields that a person fills, and from what was typed back to arguments.

import type { Json, JsonMap } from "../api/types";

export type FieldKind = "text" | "long" | "number" | "integer" | "boolean" | "choice" | "texts" | "json";

export interface FormField {
  name: string;
  title: string;
  help: string;
  kind: FieldKind;
  required: boolean;
  choices: Json[];
  initial: string;
}

/** What stands in a form: text for every field, as it was typed. */
export type Typed = Record<string, string>;

const isMap = (value: unknown): value is JsonMap => typeof value === "object" && value !== null && !Array.isArray(value);
const isScalar = (value: Json): boolean => value === null || typeof value !== "object";

/** A union with null, as generators of schemas write what is optional, is what it is besides. */
function withoutNull(schema: JsonMap): JsonMap {
  const options = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(options)) {
    const rest = options.filter((each): each is JsonMap => isMap(each) && each.type !== "null");
    if (rest.length === 1 && rest[0]) return { ...schema, ...rest[0] };
  }
  if (Array.isArray(schema.type)) {
    const rest = schema.type.filter((each) => each !== "null");
    if (rest.length === 1) return { ...schema, type: rest[0] as Json };
  }
  return schema;
}

function kindOf(schema: JsonMap): FieldKind {
  if (Array.isArray(schema.enum) && schema.enum.every(isScalar)) return "choice";
  if (schema.type === "boolean" || schema.type === "integer" || schema.type === "number") return schema.type;
  if (schema.type === "array" && isMap(schema.items) && schema.items.type === "string" && !schema.items.enum) return "texts";
  if (schema.type === "string") {
    const long = typeof schema.maxLength === "number" ? schema.maxLength > 200 : false;
    return long || schema.format === "textarea" ? "long" : "text";
  }
  return schema.type === undefined && schema.properties === undefined ? "text" : "json";
}

const LONG_NAMES = /^(code|text|content|body|script|markdown|message|prompt)$/i;

export function fieldsOf(schema: JsonMap): FormField[] {
  const properties = isMap(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(properties).map(([name, given]) => {
    const property = withoutNull(isMap(given) ? given : {});
    let kind = kindOf(property);
    if (kind === "text" && LONG_NAMES.test(name)) kind = "long";
    return {
      name,
      title: typeof property.title === "string" ? property.title : name,
      help: typeof property.description === "string" ? property.description : "",
      kind,
      required: required.includes(name),
      choices: Array.isArray(property.enum) ? property.enum : [],
      initial: property.default === undefined || property.default === null ? "" : textOf(property.default, kind),
    };
  });
}

function textOf(value: Json, kind: FieldKind): string {
  if (kind === "texts" && Array.isArray(value)) return value.join("\n");
  return typeof value === "string" ? value : JSON.stringify(value);
}

export interface Read {
  arguments: JsonMap;
  faults: Record<string, string>;
}

/** The arguments that were typed; a field left empty is left out, the gateway checks the rest. */
export function readTyped(fields: FormField[], typed: Typed): Read {
  const read: Read = { arguments: {}, faults: {} };
  for (const field of fields) {
    const text = typed[field.name] ?? field.initial;
    if (text === "" && field.kind !== "boolean") {
      if (field.required && field.kind !== "text" && field.kind !== "long") read.faults[field.name] = "It is needed.";
      else if (field.required) read.arguments[field.name] = "";
      continue;
    }
    const value = READERS[field.kind](text, field);
    if (value === undefined) read.faults[field.name] = FAULTS[field.kind] ?? "This cannot be read.";
    else if (!(field.kind === "boolean" && !field.required && text === "")) read.arguments[field.name] = value;
  }
  return read;
}

const FAULTS: Partial<Record<FieldKind, string>> = {
  number: "This is no number.",
  integer: "This is no whole number.",
  json: "This is no JSON.",
};

const READERS: Record<FieldKind, (text: string, field: FormField) => Json | undefined> = {
  text: (text) => text,
  long: (text) => text,
  number: (text) => (Number.isFinite(Number(text)) ? Number(text) : undefined),
  integer: (text) => (Number.isInteger(Number(text)) ? Number(text) : undefined),
  boolean: (text) => text === "true",
  choice: (text, field) => field.choices.find((choice) => textOf(choice, "choice") === text),
  texts: (text) => text.split("\n").filter((line) => line !== ""),
  json: (text) => {
    try {
      return JSON.parse(text) as Json;
    } catch {
      return undefined;
    }
  },
};
