/*
 * What Prometheus reads: the text exposition format, version 0.0.4. Counters of this process are kept here; what stands in the database is read
 * when it is asked for.
 */

export const prometheusType = "text/plain; version=0.0.4; charset=utf-8";

export interface Sample {
  labels?: Readonly<Record<string, string>>;
  value: number;
  /** Behind the family's name: `_bucket`, `_sum`, `_count` of a histogram. */
  suffix?: string;
}

export interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  samples: readonly Sample[];
}

/** Families as text, in the order in which they are given. */
export function prometheusText(families: readonly Family[]): string {
  return families
    .map(({ name, help, type, samples }) => {
      const lines = samples.map(({ labels = {}, value, suffix = "" }) => {
        const parts = Object.entries(labels).map(([label, text]) => `${label}="${escapedLabel(text)}"`);
        return `${name}${suffix}${parts.length === 0 ? "" : `{${parts.join(",")}}`} ${numberText(value)}`;
      });
      return [`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${type}`, ...lines].join("\n");
    })
    .map((text) => `${text}\n`)
    .join("");
}

const escapedLabel = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

const numberText = (value: number): string => (value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value));

/** One request, as it was answered. `seconds` ends with the first byte of the answer: a stream goes on behind it. */
export interface Answered {
  method: string;
  /** The route's pattern, never the path: paths hold names and ids without end. */
  route: string;
  status: number;
  seconds: number;
}

const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Route {
  method: string;
  route: string;
  statuses: Map<number, number>;
  buckets: number[];
  sum: number;
  count: number;
}

/** Counts the requests of this process, by route. */
export interface RequestMeter {
  observe(answered: Answered): void;
  families(): Family[];
}

export function requestMeter(): RequestMeter {
  const routes = new Map<string, Route>();
  return {
    observe: ({ method, route, status, seconds }) => {
      const key = `${method} ${route}`;
      let found = routes.get(key);
      if (found === undefined) {
        found = { method, route, statuses: new Map<number, number>(), buckets: bounds.map(() => 0), sum: 0, count: 0 };
        routes.set(key, found);
      }
      found.statuses.set(status, (found.statuses.get(status) ?? 0) + 1);
      found.sum += seconds;
      found.count += 1;
      const at = bounds.findIndex((bound) => seconds <= bound);
      if (at >= 0) found.buckets[at] = (found.buckets[at] ?? 0) + 1;
    },
    families: () => {
      const all = [...routes.values()];
      return [
        {
          name: "tidegate_http_requests_total",
          help: "Requests that were answered, by route and status.",
          type: "counter",
          samples: all.flatMap(({ method, route, statuses }) =>
            [...statuses].map(([status, value]) => ({ labels: { method, route, status: String(status) }, value })),
          ),
        },
        {
          name: "tidegate_http_request_duration_seconds",
          help: "Time to the first byte of the answer, by route.",
          type: "histogram",
          samples: all.flatMap(({ method, route, buckets, sum, count }) => {
            let below = 0;
            const within = buckets.map((value, index) => {
              below += value;
              return { suffix: "_bucket", labels: { method, route, le: String(bounds[index]) }, value: below };
            });
            const labels = { method, route };
            return [
              ...within,
              { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count },
              { suffix: "_sum", labels, value: sum },
              { suffix: "_count", labels, value: count },
            ];
          }),
        },
      ];
    },
  };
}
