/** Platforms as people write them. */
import type { Platform } from './api/artifact';

/** `linux/arm64/v8` */
export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}

/** `amd64, arm64`, with the system's name only where it is not Linux. What stands for no platform is left out. */
export function platformNames(platforms: Platform[]): string {
  const names = platforms
    .filter(({ os, architecture }) => architecture && os !== 'unknown')
    .map(({ os, architecture, variant }) =>
      [os === 'linux' ? undefined : os, architecture, variant].filter(Boolean).join('/'),
    );
  return [...new Set(names)].join(', ') || '–';
}
