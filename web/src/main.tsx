import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/pieces.css";
import "./styles/change.css";
import "./styles/rows.css";
import "./styles/charts.css";
import "./styles/small.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ask } from "./api/client.ts";
import { makeRouter } from "./router.tsx";

/** A one-time link carries its code behind the #: it is spent before anything is shown, and taken out of the address. */
async function openLink(): Promise<string | undefined> {
  const code = /^#link=([\w-]+)$/.exec(location.hash)?.[1];
  if (code === undefined) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return ask("POST /v1/session", { body: { link: code } }).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

const client = new QueryClient({ defaultOptions: { queries: { refetchOnWindowFocus: false } } });
const refused = await openLink();
const router = makeRouter({ client, refused });

createRoot(document.getElementById("console") as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
