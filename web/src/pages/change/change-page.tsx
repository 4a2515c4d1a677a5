import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { question } from "../../api/queries.ts";
import { useKeys } from "../../lib/keys.ts";
import { Sign } from "../../ui/chip.tsx";
import { Failure, Loading } from "../../ui/states.tsx";
import { Tabs, type Tab } from "../../ui/tabs.tsx";
import { PageLoading } from "../frame/frame.tsx";
import { useChange, type ChangeData, type Shown } from "./change-data.ts";
import { ChangeHead } from "./change-head.tsx";
import { ChecksTab } from "./checks-tab.tsx";
import { ConsumersTab } from "./consumers-tab.tsx";
import { DecideBar } from "./decide-bar.tsx";
import { Impact } from "./impact.tsx";
import { RowsTab } from "./rows-tab.tsx";
import { SchemaTab } from "./schema-tab.tsx";
import { StatisticsTab } from "./statistics-tab.tsx";
import { TalkTab } from "./talk-tab.tsx";
import { TimelineTab } from "./timeline-tab.tsx";

const route = getRouteApi("/changes/$id");
const tabKeys = ["rows", "schema", "stats", "checks", "consumers", "talk", "timeline"] as const;
type TabKey = (typeof tabKeys)[number];

/** One change: what it does, whether it can merge, what to do next; below, the proof. */
export function ChangePage() {
  const { id } = route.useParams();
  const data = useChange(id);
  const { shown } = data;
  useEffect(() => {
    document.title = shown.data === undefined ? "Tidegate" : `${shown.data.change.title} · Tidegate`;
  }, [shown.data]);
  if (shown.isPending) return <PageLoading what="The change is loading" />;
  if (shown.error !== null)
    return (
      <section className="panel">
        <Failure error={shown.error} again={() => void shown.refetch()} />
      </section>
    );
  return <Whole shown={shown.data} data={data} />;
}

function Whole({ shown, data }: { shown: Shown; data: ChangeData }) {
  const { id } = shown.change;
  const neighbours = useNeighbours(id);
  const navigate = useNavigate();
  const search = route.useSearch();
  const hash = useRouterState({ select: (state) => state.location.hash });
  const tabs = tabsOf(shown, data);
  const tab = tabKeys.find((key) => key === hash) ?? (shown.datasets.length === 0 ? "schema" : "rows");
  const show = (key: TabKey): void =>
    void navigate({ to: "/changes/$id", params: { id }, search, hash: key, replace: true, resetScroll: false });
  const open = (other: string | undefined): void => {
    if (other !== undefined) void navigate({ to: "/changes/$id", params: { id: other }, search: {} });
  };
  useKeys([
    { key: "j", does: "next change that waits", run: () => open(neighbours.next) },
    { key: "k", does: "previous change that waits", run: () => open(neighbours.previous) },
    ...tabs.map(({ key, title }, at) => ({ key: String(at + 1), does: `show ${title.toLowerCase()}`, run: () => show(key) })),
  ]);
  return (
    <>
      <ChangeHead shown={shown}>
        {neighbours.place === 0 ? null : (
          <span className="push s keys">
            change {neighbours.place} of {neighbours.count} that wait <kbd aria-hidden="true">j</kbd> <kbd aria-hidden="true">k</kbd>
          </span>
        )}
      </ChangeHead>
      <Impact shown={shown} data={data} onTab={show} />
      <Tabs label="Parts of the change" tabs={tabs} shown={tab} onShow={show} />
      <DecideBar shown={shown} verdict={data.verdict.data} steps={data.plan.data?.steps} />
    </>
  );
}

/** Where a change stands among those that wait, in the order of their list. */
function useNeighbours(id: string) {
  const waiting = useQuery(question("GET /v1/changes", { query: { state: "waiting", limit: 1000 } })).data ?? [];
  const at = waiting.findIndex((item) => item.id === id);
  return { place: at + 1, count: waiting.length, next: waiting[at + 1]?.id, previous: at > 0 ? waiting[at - 1]?.id : undefined };
}

function tabsOf(shown: Shown, { diff, verdict, checks, tests }: ChangeData): Tab<TabKey>[] {
  const rows = diff.data?.reduce((sum, { result }) => sum + result.rows.differing, 0);
  const schema = diff.data?.reduce((sum, { result }) => sum + result.schema.length, 0);
  const failing = checks.data?.flatMap((item) => item.checks).filter(({ verdict: said }) => said !== "pass");
  const moved = tests.data?.filter(({ outcome }) => outcome !== "same" && outcome !== "new" && outcome !== "fixed");
  const words = verdict.data?.reviews.filter(({ withdrawnAt }) => withdrawnAt === null).length;
  const { id } = shown.change;
  return [
    { key: "rows", title: "Rows", note: rows, body: <RowsTab id={id} diff={diff} /> },
    { key: "schema", title: "Schema", note: schema === 0 ? undefined : schema, body: <SchemaTab diff={diff} verdict={verdict.data} /> },
    { key: "stats", title: "Statistics", body: <StatisticsTab diff={diff} /> },
    {
      key: "checks",
      title: "Checks",
      note:
        failing === undefined || failing.length === 0 ? undefined : (
          <>
            <Sign
              icon={failing.some((item) => item.verdict === "fail") ? "fail" : "inconclusive"}
              tone={failing.some((item) => item.verdict === "fail") ? "fail" : "inc"}
              label="not passed"
            />{" "}
            {failing.length}
          </>
        ),
      body: <ChecksTab id={id} checks={checks} />,
    },
    {
      key: "consumers",
      title: "Consumers",
      note:
        moved === undefined || moved.length === 0 ? undefined : (
          <>
            <Sign
              icon={moved.some(({ outcome }) => outcome === "broken") ? "fail" : "moved"}
              tone={moved.some(({ outcome }) => outcome === "broken") ? "fail" : "warn"}
              label="not the same"
            />{" "}
            {moved.length}
          </>
        ),
      body: <ConsumersTab shown={shown} tests={tests} />,
    },
    { key: "talk", title: "Conversation", note: words === 0 ? undefined : words, body: <TalkTab shown={shown} verdict={verdict.data} /> },
    { key: "timeline", title: "Timeline", body: <TimelineTab id={id} /> },
  ];
}

/** A tab's question: its answer, or what it is doing meanwhile. */
export function Waits<T>({
  of,
  what,
  children,
}: {
  of: { data: T | undefined; error: Error | null; refetch: () => unknown };
  what: string;
  children: (data: T) => React.ReactNode;
}) {
  if (of.data !== undefined) return children(of.data);
  return (
    <div className="panel">
      {of.error === null ? <Loading what={what} lines={6} /> : <Failure error={of.error} again={() => void of.refetch()} />}
    </div>
  );
}

/** The tab's link, as other parts of the page name it. */
export function TabLink({ id, tab, children }: { id: string; tab: TabKey; children: string }) {
  return (
    <Link className="in" to="/changes/$id" params={{ id }} search={(previous) => previous} hash={tab} replace resetScroll={false}>
      {children}
    </Link>
  );
}

export type { TabKey };
