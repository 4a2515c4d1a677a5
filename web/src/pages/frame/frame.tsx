import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useMatchRoute, useRouteContext, useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { ask, Refusal } from "../../api/client.ts";
import { followEvents, type Connection } from "../../api/events.ts";
import { question, whoami } from "../../api/queries.ts";
import { listenForKeys, useKeys } from "../../lib/keys.ts";
import { setTheme, useTheme, type Theme } from "../../lib/theme.ts";
import { Icon } from "../../ui/icon.tsx";
import { Failure, Loading } from "../../ui/states.tsx";
import { KeyOverlay } from "./key-overlay.tsx";
import { SignIn } from "./sign-in.tsx";

/** What stands around every page: who is signed in, where one can go, and what happens meanwhile. */
export function Frame() {
  const me = useQuery(whoami);
  const { refused } = useRouteContext({ from: "__root__" });
  if (me.isPending) return <main id="main" className="alone" />;
  if (me.error instanceof Refusal && me.error.status === 401) return <SignIn refused={refused} />;
  if (me.error !== null)
    return (
      <main id="main" className="alone">
        <section className="panel">
          <Failure error={me.error} again={() => void me.refetch()} />
        </section>
      </main>
    );
  return <Signed name={me.data.actor} role={me.data.role ?? ""} />;
}

function Signed({ name, role }: { name: string; role: string }) {
  const client = useQueryClient();
  const [connection, setConnection] = useState<Connection>("live");
  const [showsKeys, setShowsKeys] = useState(false);
  const router = useRouter();
  useEffect(() => followEvents(client, setConnection), [client]);
  useEffect(() => listenForKeys(), []);
  useKeys([
    { key: "?", does: "show all keys", run: () => setShowsKeys(true) },
    { key: "/", does: "go to the filter", run: () => document.querySelector<HTMLInputElement>("[data-filter]")?.focus() },
    { key: "g", does: "go to changes", run: () => void router.navigate({ to: "/changes" }) },
  ]);
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="rail">
        <Link className="brand" to="/changes">
          <Icon name="brand" />
          Tidegate
        </Link>
        <Navigation />
        <div className="foot">
          <span className={connection === "live" ? "beat" : "beat away"} role="status">
            {connection === "live" ? "live" : "no connection; it comes back by itself"}
          </span>
          <span>
            {name}
            <br />
            {role}
          </span>
          <span className="row tools">
            <ThemeSwitch />
            <button type="button" className="btn plain" aria-label="Show all keys" title="All keys (?)" onClick={() => setShowsKeys(true)}>
              <Icon name="keyboard" />
            </button>
            <SignOut />
          </span>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
      {showsKeys ? <KeyOverlay onClose={() => setShowsKeys(false)} /> : null}
    </>
  );
}

function Navigation() {
  const waiting = useQuery(question("GET /v1/changes", { query: { state: "waiting", limit: 1000 } }));
  const matches = useMatchRoute();
  return (
    <nav aria-label="Main">
      <ul>
        <li>
          <Link to="/changes" aria-current={matches({ to: "/changes", fuzzy: true }) === false ? undefined : "page"}>
            <Icon name="change" />
            Changes
            {waiting.data === undefined || waiting.data.length === 0 ? null : (
              <span className="n">
                {waiting.data.length}
                <span className="sr"> waiting</span>
              </span>
            )}
          </Link>
        </li>
      </ul>
    </nav>
  );
}

const nextTheme: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };

function ThemeSwitch() {
  const theme = useTheme();
  const label = `Theme: ${theme === "system" ? "as the system" : theme}. Switch to ${nextTheme[theme] === "system" ? "the system's" : nextTheme[theme]}.`;
  return (
    <button type="button" className="btn plain" aria-label={label} title={label} onClick={() => setTheme(nextTheme[theme])}>
      <Icon name="theme" />
    </button>
  );
}

function SignOut() {
  const client = useQueryClient();
  const leave = (): void => {
    void ask("DELETE /v1/session", {}).finally(() => void client.resetQueries());
  };
  return (
    <button type="button" className="btn plain" aria-label="Sign out" title="Sign out" onClick={leave}>
      <Icon name="leave" />
    </button>
  );
}

/** What a page shows until its first answer is there. */
export function PageLoading({ what }: { what: string }) {
  return (
    <section className="panel">
      <Loading what={what} lines={6} />
    </section>
  );
}
