/** The spans of time that a chart of the audit log shows. */
import type { AuditPoint } from '../../lib/api/audit';

export type Step = 'hour' | 'day';

const LENGTH: Record<Step, number> = { hour: 3_600_000, day: 86_400_000 };
/** Up to so many days are shown by hour. */
const BY_HOUR = 3;
/** How many spans the server counts at most, and where no beginning is named. */
const [MOST, USUAL] = [500, { hour: 24, day: 30 }];

export interface Bar {
  from: Date;
  to: Date;
  done: number;
  refused: number;
}

/** What a stretch of time is divided into; nothing where that is too short to say anything. */
export function stepOf(from: Date | undefined, to: Date): Step | undefined {
  if (!from) return 'day';
  const length = to.getTime() - from.getTime();
  if (length <= 2 * LENGTH.hour) return undefined;
  return length <= BY_HOUR * LENGTH.day ? 'hour' : 'day';
}

/** A bar for each span, also for those without events. */
export function barsOf(points: AuditPoint[], step: Step, from: Date | undefined, to: Date): Bar[] {
  const length = LENGTH[step];
  const counted = new Map(points.map((point) => [Date.parse(point.time), point]));
  const last = Math.floor((to.getTime() - 1) / length) * length;
  const spans = from ? MOST : USUAL[step];
  const first = Math.max(Math.floor((from?.getTime() ?? 0) / length) * length, last - (spans - 1) * length);
  const bars: Bar[] = [];
  for (let at = first; at <= last; at += length) {
    const { done = 0, refused = 0 } = counted.get(at) ?? {};
    bars.push({ from: new Date(at), to: new Date(at + length), done, refused });
  }
  return bars;
}

/** A moment as a field for date and time has it, in the reader's own time. */
export function fieldText(moment: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())].join('-');
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}
