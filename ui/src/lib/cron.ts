/** Schedules as the server keeps them: six fields, of which the first (seconds) is 0, in UTC. */
export const KINDS = ['None', 'Hourly', 'Daily', 'Weekly', 'Custom'] as const;
export type Kind = (typeof KINDS)[number];

/** The text of a kind that has a fixed one. */
export const CRONS: Record<Exclude<Kind, 'Custom'>, string> = {
  None: '',
  Hourly: '0 0 * * * *',
  Daily: '0 0 0 * * *',
  Weekly: '0 0 0 * * 0',
};

const MOST = [59, 59, 23, 31, 12, 7];
const NAMES = /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)$/i;

/** Whether a text may be a schedule: what the server has the last word on. */
export function isCron(text: string): boolean {
  const fields = text.trim().split(/\s+/);
  return fields.length === 6 && fields[0] === '0' && fields.every((field, at) => isField(field, at));
}

function isField(field: string, at: number): boolean {
  return field.split(',').every((part) => {
    const [range = '', step] = part.split('/');
    if (step !== undefined && !/^[1-9]\d*$/.test(step)) return false;
    if (range === '*' || range === '?') return true;
    const ends = range.split('-');
    return ends.length <= 2 && ends.every((end) => isValue(end, at));
  });
}

function isValue(text: string, at: number): boolean {
  if (at >= 4 && NAMES.test(text)) return true;
  return /^\d+$/.test(text) && Number(text) <= (MOST[at] ?? 0);
}

/** What a schedule means, where few words say it. Times are `02:30`, weekdays count from Sunday. */
export type Meaning =
  | { every: 'minutes' | 'hours'; count: number }
  | { every: 'hour'; minute: number }
  | { every: 'day'; time: string }
  | { every: 'week'; weekday: number; time: string }
  | { every: 'month'; day: number; time: string };

const isNumber = (field: string) => /^\d+$/.test(field);
const isAny = (field: string) => field === '*' || field === '?';

/** Nothing for schedules that need their six fields. */
export function meaningOf(cron: string): Meaning | undefined {
  if (!isCron(cron)) return undefined;
  const [, minute = '', hour = '', day = '', month = '', weekday = ''] = cron.trim().split(/\s+/);
  if (!isAny(month)) return undefined;
  if (isAny(day) && isAny(weekday)) return daily(minute, hour);
  if (!isNumber(minute) || !isNumber(hour)) return undefined;
  const time = clockOf(hour, minute);
  if (isAny(day) && isNumber(weekday)) return { every: 'week', weekday: Number(weekday) % 7, time };
  if (isNumber(day) && isAny(weekday)) return { every: 'month', day: Number(day), time };
  return undefined;
}

function daily(minute: string, hour: string): Meaning | undefined {
  const [minutes, hours] = [stepOf(minute), stepOf(hour)];
  if (minutes && 60 % minutes === 0 && isAny(hour)) return { every: 'minutes', count: minutes };
  if (!isNumber(minute)) return undefined;
  if (isAny(hour)) return { every: 'hour', minute: Number(minute) };
  if (hours && 24 % hours === 0 && Number(minute) === 0) return { every: 'hours', count: hours };
  return isNumber(hour) ? { every: 'day', time: clockOf(hour, minute) } : undefined;
}

/** Steps that divide the whole: others begin anew in the middle of one. */
function stepOf(field: string): number | undefined {
  if (isAny(field)) return 1;
  const step = /^(?:\*|0)\/(\d+)$/.exec(field)?.[1];
  return step === undefined ? undefined : Number(step);
}

const clockOf = (hour: string, minute: string) => `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;

/** The kind that a schedule is of. */
export function kindOf(cron: string): Kind {
  return KINDS.find((kind) => kind !== 'Custom' && CRONS[kind] === cron.trim()) ?? 'Custom';
}
