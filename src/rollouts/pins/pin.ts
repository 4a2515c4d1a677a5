/** A consumer that somebody keeps where it is: on one dataset with what is bound to it, or on the whole of a view. */
export interface Pin {
  id: string;
  environment: string;
  consumer: string;
  /** What was asked for; null: the consumer's whole view. */
  datasetId: string | null;
  viewId: string | null;
  /** Who answers for it. */
  owner: string;
  reason: string;
  createdAt: Date;
  expiresAt: Date;
  endedAt: Date | null;
}

/** A moment as answers tell it: `2026-12-01T08:00:00Z`. */
export const timeText = (at: Date): string => at.toISOString().replace(".000Z", "Z");

/** Why a reader has what it has: `pinned by ana until 2026-12-01T08:00:00Z`. */
export function pinText(pin: { owner: string; until: Date }): string {
  return `pinned by ${pin.owner} until ${timeText(pin.until)}`;
}

/** What a reader is told whose pin ended with a rollback. */
export function unpinnedText(pin: { owner: string; barred: readonly string[] }): string {
  return `no longer pinned by ${pin.owner}: ${pin.barred.join(" and ")} was rolled back`;
}
