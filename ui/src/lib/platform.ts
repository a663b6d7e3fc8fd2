/** Platforms as people write them. */
import type { Platform } from './api/artifact';

/** `linux/arm64/v8` */
export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}

/** `amd64, arm64`: Linux goes without saying, and what stands for no platform is left out. */
export function platformNames(names: string[]): string {
  const real = names.filter((name) => name !== '' && !name.startsWith('unknown'));
  return [...new Set(real.map((name) => name.replace(/^linux\//, '')))].join(', ') || '–';
}
