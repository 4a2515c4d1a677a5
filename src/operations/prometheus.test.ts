import { expect, test } from "vitest";
import { prometheusText, requestMeter } from "./prometheus.ts";

test("a request is counted once by route and status, and in each bucket that it fits into", () => {
  const meter = requestMeter();
  meter.observe({ method: "GET", route: "/v1/x/:id", status: 200, seconds: 0.004 });
  meter.observe({ method: "GET", route: "/v1/x/:id", status: 404, seconds: 0.3 });
  meter.observe({ method: "GET", route: "/v1/x/:id", status: 200, seconds: 60 });
  const lines = prometheusText(meter.families()).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "# TYPE tidegate_http_requests_total counter",
      'tidegate_http_requests_total{method="GET",route="/v1/x/:id",status="200"} 2',
      'tidegate_http_requests_total{method="GET",route="/v1/x/:id",status="404"} 1',
      "# TYPE tidegate_http_request_duration_seconds histogram",
      'tidegate_http_request_duration_seconds_bucket{method="GET",route="/v1/x/:id",le="0.005"} 1',
      'tidegate_http_request_duration_seconds_bucket{method="GET",route="/v1/x/:id",le="0.25"} 1',
      'tidegate_http_request_duration_seconds_bucket{method="GET",route="/v1/x/:id",le="0.5"} 2',
      'tidegate_http_request_duration_seconds_bucket{method="GET",route="/v1/x/:id",le="10"} 2',
      'tidegate_http_request_duration_seconds_bucket{method="GET",route="/v1/x/:id",le="+Inf"} 3',
      'tidegate_http_request_duration_seconds_count{method="GET",route="/v1/x/:id"} 3',
    ]),
  );
});

test("what a label or a help text holds cannot break the format", () => {
  const family = { name: "a", help: "one\ntwo \\", type: "gauge" as const, samples: [{ labels: { x: 'say "no"\\\n' }, value: Infinity }] };
  expect(prometheusText([family])).toBe('# HELP a one\\ntwo \\\\\n# TYPE a gauge\na{x="say \\"no\\"\\\\\\n"} +Inf\n');
});
