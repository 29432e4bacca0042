// Markdown as its bare words until the code that gives them their form is there.

import { lazy, Suspense } from "react";

const MarkdownText = lazy(() => import("./MarkdownText"));

export function Markdown({ text }: { text: string }) {
  return (
    <Suspense fallback={<p className="said">{text}</p>}>
      <MarkdownText text={text} />
    </Suspense>
  );
}
