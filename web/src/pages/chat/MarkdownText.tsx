// Text of assistants and tools as Markdown. It comes from outside: no markup of its own, nothing is loaded, links are
// marked and lead out in a page that knows nothing of this one.

import { memo } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeHighlight from "rehype-highlight";
import rehypeSanitize from "rehype-sanitize";
import remarkBreaks from "remark-breaks";
import remarkGfm from "remark-gfm";
import { ExternalLink } from "lucide-react";

const components: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
      <ExternalLink size={12} aria-label=" (leads out)" className="out-mark" />
    </a>
  ),
  img: ({ src, alt }) => (
    <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noopener noreferrer nofollow">
      [image: {alt || "without words"}]
    </a>
  ),
  table: ({ children }) => (
    <div className="table-wrap" tabIndex={0} role="group" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
  pre: ({ children }) => (
    <pre className="code" tabIndex={0}>
      {children}
    </pre>
  ),
};

interface Node {
  type: string;
  children?: Node[];
}

/** Markup is shown as it was written, so that "<agent>" does not vanish; nothing of it is ever made an element. */
function markupAsText() {
  return function turn(node: Node): void {
    if (node.type === "html") node.type = "text";
    node.children?.forEach(turn);
  };
}

export default memo(function MarkdownText({ text }: { text: string }) {
  return (
    <div className="markdown">
      <ReactMarkdown remarkPlugins={[remarkGfm, remarkBreaks, markupAsText]} rehypePlugins={[rehypeSanitize, [rehypeHighlight, { detect: false }]]} components={components}>
        {text}
      </ReactMarkdown>
    </div>
  );
});
