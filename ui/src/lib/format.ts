/** Numbers, sizes and times as the reader's language writes them. */
import { locale } from '../i18n/index.svelte';

const KINDS = ['byte', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const NBSP = '\u00a0';

/** The tag for dates: the reader's own region where it speaks the page's language, else the day before the month. */
function region(): string {
  const language = locale().split('-')[0];
  const own = globalThis.navigator?.languages?.find(
    (tag) => tag.split('-')[0] === language && tag.includes('-'),
  );
  return own ?? (language === 'en' ? 'en-GB' : locale());
}

/** 1,284,907 */
export function number(value: number): string {
  return new Intl.NumberFormat(locale()).format(value);
}

/** 64% */
export function percent(share: number): string {
  return new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: 0 }).format(share);
}

/** 184 MiB: binary units, at most three digits. */
export function bytes(value: number): string {
  let size = value;
  let at = 0;
  while (size >= 1000 && at < KINDS.length - 1) {
    size /= 1024;
    at += 1;
  }
  const digits = at === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const text = new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(size);
  return `${text}${NBSP}${at === 0 ? 'B' : KINDS[at]}`;
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 7],
  ['week', 4.35],
  ['month', 12],
];

/** Whether a time stands for something that has not happened: the server then sends the year 1. */
export function isNever(time: string | undefined | null): boolean {
  return !time || time.startsWith('0001-');
}

/** 4m 12s: how long something took or has waited, in its two largest units. */
export function duration(seconds: number): string {
  const parts: [string, number][] = [
    ['day', Math.floor(seconds / 86_400)],
    ['hour', Math.floor(seconds / 3600) % 24],
    ['minute', Math.floor(seconds / 60) % 60],
    ['second', Math.floor(seconds) % 60],
  ];
  const first = parts.findIndex(([, amount]) => amount > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown
    .filter(([, amount], at) => amount > 0 || at === 0)
    .map(([unit, amount]) => {
      const style = { style: 'unit', unit, unitDisplay: 'narrow' } as const;
      return new Intl.NumberFormat(locale(), style).format(amount);
    })
    .join(' ');
}

/** The first digits of a digest, for lists. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** 3m ago; over a year, the date. */
export function ago(time: string, now = Date.now()): string {
  const then = Date.parse(time);
  if (Number.isNaN(then)) return time;
  let amount = (then - now) / 1000;
  if (Math.abs(amount) < 1) amount = amount < 0 ? -1 : 1;
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) {
      const style = { style: 'narrow', numeric: 'always' } as const;
      return new Intl.RelativeTimeFormat(locale(), style).format(Math.trunc(amount), unit);
    }
    amount /= size;
  }
  return new Intl.DateTimeFormat(region(), { dateStyle: 'medium' }).format(then);
}

/** 22 Nov 2026, 09:14:05 UTC; a text that is no time, which an image may bring, as it is. */
export function moment(time: string): string {
  const then = Date.parse(time);
  if (Number.isNaN(then)) return time;
  return new Intl.DateTimeFormat(region(), {
    hourCycle: 'h23',
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  }).format(then);
}

/** 22 Nov, for a chart. Its days are those of UTC, as the server counts them. */
export function day(at: Date): string {
  return new Intl.DateTimeFormat(region(), { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(at);
}

/** 22 Nov, 09:00, for a chart. */
export function hour(at: Date): string {
  return new Intl.DateTimeFormat(region(), {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at);
}

/** 09:14:05 */
export function clock(time: string): string {
  return new Intl.DateTimeFormat(region(), {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(Date.parse(time));
}

/** Up to two letters for an avatar. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const han = /^\p{Script=Han}/u.test(name);
  const letters =
    han || words.length < 2
      ? [...(words[0] ?? '')].slice(0, han ? 1 : 2)
      : words.slice(0, 2).map((word) => [...word][0]);
  return letters.join('').toUpperCase();
}
