import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, redirect } from "@tanstack/react-router";
import { ChangePage } from "./pages/change/change-page.tsx";
import { ChangesPage } from "./pages/changes/changes-page.tsx";
import { Frame } from "./pages/frame/frame.tsx";
import { NotFound } from "./pages/frame/not-found.tsx";

export interface RouterContext {
  client: QueryClient;
  /** Why a one-time link that was followed here did not open. */
  refused: string | undefined;
}

const root = createRootRouteWithContext<RouterContext>()({ component: Frame, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/changes", replace: true });
  },
});

const shows = ["waiting", "merged", "all"] as const;
export type Show = (typeof shows)[number];

const changes = createRoute({
  getParentRoute: () => root,
  path: "/changes",
  validateSearch: (search): { show?: Show; q?: string } => ({
    ...(shows.includes(search["show"] as Show) && search["show"] !== "waiting" ? { show: search["show"] as Show } : {}),
    ...(typeof search["q"] === "string" && search["q"] !== "" ? { q: search["q"] } : {}),
  }),
  component: ChangesPage,
});

const kinds = ["removed", "added", "modified"] as const;
export type RowKind = (typeof kinds)[number];

/** What of a change is looked at: it stands in the address, so that a link shows the same. */
export interface ChangeSearch {
  dataset?: string;
  kind?: RowKind;
  column?: string;
  key?: string;
}

const text = (value: unknown): string | undefined => (typeof value === "string" || typeof value === "number" ? String(value) : undefined);

const change = createRoute({
  getParentRoute: () => root,
  path: "/changes/$id",
  validateSearch: (search): ChangeSearch => {
    const [dataset, column, key] = [text(search["dataset"]), text(search["column"]), text(search["key"])];
    const kind = kinds.find((item) => item === search["kind"]);
    return {
      ...(dataset === undefined ? {} : { dataset }),
      ...(kind === undefined ? {} : { kind }),
      ...(column === undefined ? {} : { column }),
      ...(key === undefined || key === "" ? {} : { key }),
    };
  },
  component: ChangePage,
});

export function makeRouter(context: RouterContext) {
  return createRouter({ routeTree: root.addChildren([home, changes, change]), context, defaultPreload: false, scrollRestoration: true });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
