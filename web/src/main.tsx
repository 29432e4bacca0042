import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { QueryClientProvider } from "@tanstack/react-query";
import { queryClient } from "./api/hooks";
import { App } from "./app/App";
import { loadPage } from "./app/Shell";
import { applyTheme } from "./app/theme";
import { registerWorker } from "./app/worker";
import { ToastProvider } from "./ui/toast";
import "./styles/index.css";

applyTheme();
loadPage(window.location.pathname);
registerWorker();
// a newer gateway has other files; a page that misses one of its own begins anew
window.addEventListener("vite:preloadError", () => window.location.reload());
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <ToastProvider>
          <App />
        </ToastProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}
