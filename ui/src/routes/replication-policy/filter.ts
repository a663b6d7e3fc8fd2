/** What the runs of a policy can be chosen by. */
export const STATES = ['InProgress', 'Succeed', 'Failed', 'Stopped'] as const;
export const CAUSES = ['manual', 'scheduled', 'event_based'] as const;
export const PERIODS = ['hour', 'day', 'week', 'month'] as const;
export type Period = (typeof PERIODS)[number];

const HOURS: Record<Period, number> = { hour: 1, day: 24, week: 24 * 7, month: 24 * 30 };

/** When a period began; nothing for all time. */
export function since(period: Period | undefined, now = Date.now()): Date | undefined {
  return period && new Date(now - HOURS[period] * 3_600_000);
}
