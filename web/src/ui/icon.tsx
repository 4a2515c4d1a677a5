import type { ReactNode } from "react";

const dot = <circle cx="8" cy="8" r="4" />;
const triangle = <path d="M8 2 14.5 13.5h-13zM8 6.5v3M8 11.5v.1" />;
const clock = (
  <>
    <circle cx="8" cy="8.5" r="5.5" />
    <path d="M8 5.500v3l2 1.500M6.500 1.500h3" />
  </>
);

/* Drawn for this product on a grid of 16, with one stroke. */
const shapes = {
  brand: (
    <path d="M2 8.5c2 0 2-1.6 4-1.6s2 1.6 4 1.6 2-1.6 4-1.6M2 13c2 0 2-1.6 4-1.6S8 13 10 13s2-1.6 4-1.6M2 4.200V2.500h12v1.700M8 2.500v3" />
  ),
  change: (
    <>
      <circle cx="4" cy="3.5" r="1.75" />
      <circle cx="4" cy="12.5" r="1.75" />
      <circle cx="12" cy="5" r="1.75" />
      <path d="M4 5.300v5.400M12 6.800c0 2.600-3 3-5.500 3.700" />
    </>
  ),
  release: <path d="M2 12.500h3.500v-3H9v-3h3.500v-3H14" />,
  dataset: (
    <>
      <rect x="2" y="2.5" width="12" height="11" rx="1.5" />
      <path d="M2 6.200h12M6.200 6.200v7.300" />
    </>
  ),
  person: (
    <>
      <circle cx="8" cy="5.2" r="2.5" />
      <path d="M3 13.500c.6-2.600 2.600-4 5-4s4.400 1.400 5 4" />
    </>
  ),
  incident: triangle,
  theme: (
    <>
      <circle cx="8" cy="8" r="5.5" />
      <path d="M8 2.500v11A5.5 5.5 0 0 0 8 2.500z" fill="currentColor" />
    </>
  ),
  feed: (
    <>
      <path d="M3 3.500a9.5 9.5 0 0 1 9.500 9.500M3 8a5 5 0 0 1 5 5" />
      <circle cx="3.8" cy="12.2" r=".9" fill="currentColor" />
    </>
  ),
  current: dot,
  candidate: <circle cx="8" cy="8" r="4" fill="currentColor" />,
  arrow: <path d="M3 8h10M9.500 4.500 13 8l-3.500 3.500" />,
  fail: <path d="M5.500 2h5L14 5.500v5L10.500 14h-5L2 10.500v-5zM6 6l4 4m0-4-4 4" />,
  moved: <path d="M3.500 6h9M3.500 10h9M10.500 3l-5 10" />,
  search: (
    <>
      <circle cx="7" cy="7" r="4.5" />
      <path d="m10.500 10.500 3.500 3.500" />
    </>
  ),
  pass: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="m5.300 8.200 1.900 1.900 3.500-4" />
    </>
  ),
  warning: triangle,
  inconclusive: (
    <path d="m8 1.800 6.200 6.200L8 14.200 1.800 8zM6.600 6.700c.1-1.900 2.900-1.900 2.900 0 0 1.100-1.500 1.100-1.500 2.300M8 10.800v.1" />
  ),
  model: (
    <>
      <circle cx="3.5" cy="8" r="1.5" />
      <circle cx="8" cy="3.5" r="1.5" />
      <circle cx="8" cy="12.5" r="1.5" />
      <circle cx="12.5" cy="8" r="1.5" />
      <path d="m4.600 7 2.300-2.400M4.600 9l2.300 2.400M9.100 4.600 11.400 7M9.100 11.400 11.400 9" />
    </>
  ),
  dashboard: <path d="M2.500 13.500v-5h3v5M6.500 13.500v-10h3v10M10.500 13.500V6h3v7.500" />,
  job: (
    <>
      <circle cx="8" cy="8" r="5.5" />
      <path d="M8 5v3l2 1.500" />
    </>
  ),
  slower: clock,
  same: <path d="M3.500 6h9M3.500 10h9" />,
  service: (
    <>
      <rect x="2.5" y="3" width="11" height="4" rx="1" />
      <rect x="2.5" y="9" width="11" height="4" rx="1" />
      <path d="M5 5h.1M5 11h.1" />
    </>
  ),
  held: (
    <>
      <rect x="3.5" y="7" width="9" height="6.5" rx="1" />
      <path d="M5.500 7V5a2.500 2.500 0 0 1 5 0v2" />
    </>
  ),
  agent: (
    <>
      <rect x="3" y="5" width="10" height="8" rx="1.5" />
      <path d="M8 5V2.500M6 8.500v1M10 8.500v1" />
    </>
  ),
  waiting: <path d="M5.500 3v10M10.500 3v10" />,
  running: <path d="M14 8a6 6 0 1 1-3-5.200" />,
  pipeline: (
    <>
      <rect x="1.5" y="5.5" width="4" height="5" />
      <rect x="10.5" y="5.5" width="4" height="5" />
      <path d="M5.500 8h5" />
    </>
  ),
  barred: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="m3.800 3.800 8.400 8.400" />
    </>
  ),
  back: <path d="M3 6.500h7a3.500 3.500 0 0 1 0 7H6M3 6.500l3-3M3 6.500l3 3" />,
  import: <path d="M8 2v8M4.500 6.500 8 10l3.500-3.500M2.500 13.500h11" />,
  message: <path d="M2.500 3h11v8H7l-3 2.500V11H2.500z" />,
  keyboard: (
    <>
      <rect x="1.5" y="4" width="13" height="8.5" rx="1.5" />
      <path d="M4.500 7h.1M7 7h.1M9.500 7h.1M11.500 7h.1M5 10h6" />
    </>
  ),
  leave: <path d="M9 3H3.500v10H9M7 8h7M11.500 5.500 14 8l-2.500 2.500" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof shapes;

/** An icon; without a label it only repeats what stands beside it. */
export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <svg className="i" viewBox="0 0 16 16" {...(label === undefined ? { "aria-hidden": true } : { role: "img", "aria-label": label })}>
      {shapes[name]}
    </svg>
  );
}
