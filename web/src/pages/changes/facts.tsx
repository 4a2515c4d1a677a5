import { useQuery } from "@tanstack/react-query";
import { question } from "../../api/queries.ts";
import { counted } from "../../lib/format.ts";
import { Icon, type IconName } from "../../ui/icon.tsx";

/** What else goes on, in one line: releases under way, incidents, feeds, pins. */
export function Facts() {
  const releases = useQuery(question("GET /v1/releases", { query: { state: "open" } }));
  const incidents = useQuery(question("GET /v1/incidents", { query: { state: "open" } }));
  const feeds = useQuery(question("GET /v1/feeds", {}));
  const pins = useQuery(question("GET /v1/pins", {}));
  const [moving] = releases.data ?? [];
  const [incident] = incidents.data ?? [];
  const [pin] = pins.data ?? [];
  const none = (count: number | undefined, many: string, one: string, no: string): string =>
    count === undefined ? "…" : count === 0 ? no : counted(count, one, many);
  return (
    <div className="facts">
      <Fact
        icon="release"
        title={none(releases.data?.length, "releases under way", "release under way", "No release under way")}
        more={
          moving === undefined ? "readers have what was merged" : `${moving.id} is ${moving.state.replaceAll("_", " ")}: ${moving.reason}`
        }
      />
      <Fact
        icon={incident === undefined ? "pass" : "incident"}
        hot={incident !== undefined}
        title={none(incidents.data?.length, "open incidents", "open incident", "No open incident")}
        more={incident === undefined ? "monitors have found nothing" : incident.text}
      />
      <Fact
        icon="feed"
        title={none(feeds.data?.length, "feeds", "feed", "No feed yet")}
        more={feeds.data?.length === 0 ? "batches with --source-id make one" : "whose batches come as changes"}
      />
      <Fact
        icon="held"
        title={none(pins.data?.length, "pins", "pin", "No pin")}
        more={pin === undefined ? "everybody follows the releases" : `${pin.consumer}, until ${pin.expiresAt.slice(0, 10)}`}
      />
    </div>
  );
}

function Fact({ icon, title, more, hot }: { icon: IconName; title: string; more: string; hot?: boolean }) {
  return (
    <div>
      <b className={hot === true ? "c-fail" : undefined}>
        <Icon name={icon} />
        {title}
      </b>
      <span className="dim clip" title={more}>
        {more}
      </span>
    </div>
  );
}
