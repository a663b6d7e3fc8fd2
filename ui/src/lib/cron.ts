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
