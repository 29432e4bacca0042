// Short messages that come and go: what a change came to.

import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";
import { CircleAlert, CircleCheck, Info, X } from "lucide-react";
import { RpcError } from "../api/rpc";
import { Button } from "./parts";

type Kind = "good" | "bad" | "info";
interface Toast {
  id: number;
  kind: Kind;
  text: string;
  hint?: string;
}

interface Toaster {
  say: (text: string, kind?: Kind) => void;
  fail: (error: unknown) => void;
}

const Context = createContext<Toaster>({ say: () => undefined, fail: () => undefined });
const ICONS = { good: CircleCheck, bad: CircleAlert, info: Info };
const SHOWN_MS = { good: 4000, info: 5000, bad: 9000 };
let lastId = 0;

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);

  const drop = useCallback((id: number) => setToasts((now) => now.filter((toast) => toast.id !== id)), []);
  const add = useCallback(
    (toast: Omit<Toast, "id">) => {
      lastId += 1;
      const id = lastId;
      setToasts((now) => [...now.slice(-3), { ...toast, id }]);
      setTimeout(() => drop(id), SHOWN_MS[toast.kind]);
    },
    [drop],
  );
  const toaster = useMemo<Toaster>(
    () => ({
      say: (text, kind = "good") => add({ kind, text }),
      fail: (error) =>
        add({
          kind: "bad",
          text: error instanceof Error ? error.message : String(error),
          hint: error instanceof RpcError ? error.hint : undefined,
        }),
    }),
    [add],
  );

  return (
    <Context value={toaster}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {toasts.map(({ id, kind, text, hint }) => {
          const Icon = ICONS[kind];
          return (
            <div key={id} className={`toast ${kind}`}>
              <Icon size={17} aria-hidden />
              <div className="grow">
                <p>{text}</p>
                {hint && <p className="faint">{hint}</p>}
              </div>
              <Button kind="quiet" size="small" icon={<X size={15} />} label="Dismiss" onClick={() => drop(id)} />
            </div>
          );
        })}
      </div>
    </Context>
  );
}

export const useToast = (): Toaster => useContext(Context);
