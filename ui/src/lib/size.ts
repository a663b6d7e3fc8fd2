/** Sizes as they are typed: a number and a unit. */
export const UNITS = ['MiB', 'GiB', 'TiB'] as const;
export type Unit = (typeof UNITS)[number];

const FACTOR: Record<Unit, number> = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
/** The most that a project may hold: 1 PiB. */
const MOST = 2 ** 50;

/** Bytes of a typed size, `undefined` if it is not one. */
export function parseSize(text: string, unit: Unit): number | undefined {
  const value = Number(text.trim().replace(',', '.'));
  const size = Math.round(value * FACTOR[unit]);
  return text.trim() !== '' && Number.isFinite(value) && size >= 1 && size <= MOST ? size : undefined;
}

/** The number and unit that say a size best: the largest unit in which it is a short number. */
export function splitSize(size: number): { text: string; unit: Unit } {
  const unit = [...UNITS].reverse().find((candidate) => size >= FACTOR[candidate]) ?? 'MiB';
  return { text: String(Math.round((size / FACTOR[unit]) * 1000) / 1000), unit };
}
