// What each provider of models needs to be told. To add one: a row.

export interface ProviderField {
  key: string;
  name: string;
  required?: boolean;
  initial?: string;
  help?: string;
}

const KEY: ProviderField = { key: "apiKeyRef", name: "Key", help: "env:NAME or workspace:name; never the key itself." };

export const PROVIDERS: { id: string; name: string; fields: ProviderField[] }[] = [
  {
    id: "ollama",
    name: "Ollama",
    fields: [
      { key: "ollamaModelName", name: "Model", required: true },
      { key: "baseURL", name: "Address", initial: "http://127.0.0.1:11434" },
    ],
  },
  {
    id: "openai-compatible",
    name: "OpenAI and compatible",
    fields: [{ key: "openaiModelId", name: "Model", required: true }, { key: "baseURL", name: "Address", required: true }, KEY],
  },
  {
    id: "anthropic",
    name: "Anthropic",
    fields: [{ key: "model", name: "Model", required: true }, { ...KEY, required: true }],
  },
];

/** What people call a provider. */
export const providerName = (id: unknown): string => PROVIDERS.find((each) => each.id === id)?.name ?? String(id ?? "–");

const MODEL_KEYS: Record<string, string> = { ollama: "ollamaModelName", "openai-compatible": "openaiModelId" };

/** Under which key an entry of this provider names its model. */
export const modelKeyOf = (provider: unknown): string => MODEL_KEYS[String(provider)] ?? "model";
