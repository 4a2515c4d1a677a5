export const consumerKinds = ["dashboard", "model", "job", "service", "person", "other"] as const;
export type ConsumerKind = (typeof consumerKinds)[number];

/** What stays on one side of a percentage: the consumer as a whole, or each of its runs or sessions. */
export const stickyUnits = ["consumer", "run", "session"] as const;
export type Sticky = (typeof stickyUnits)[number];

/** How much depends on a consumer, the least first. */
export const criticalities = ["low", "normal", "high", "critical"] as const;
export type Criticality = (typeof criticalities)[number];

/** Below zero when less depends on the first. */
export const compareCriticality = (a: Criticality, b: Criticality): number => criticalities.indexOf(a) - criticalities.indexOf(b);
