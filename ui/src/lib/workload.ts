/** Rules for workloads as people write them. */

/** Where tokens usually come from, with what such a rule begins as. Names in capitals are to be replaced. */
export const PRESETS = {
  github: {
    issuer: 'https://token.actions.githubusercontent.com',
    subject: 'repo:ORGANISATION/REPOSITORY:ref:refs/heads/main',
  },
  gitlab: {
    issuer: 'https://gitlab.com',
    subject: 'project_path:GROUP/PROJECT:ref_type:branch:ref:main',
  },
  kubernetes: {
    issuer: 'https://kubernetes.default.svc.cluster.local',
    subject: 'system:serviceaccount:NAMESPACE:ACCOUNT',
  },
  other: { issuer: '', subject: '' },
} as const;
export type Preset = keyof typeof PRESETS;

/** The preset that a rule's issuer belongs to. */
export function presetOf(issuer: string): Preset {
  const found = Object.entries(PRESETS).find(([, preset]) => preset.issuer === issuer);
  return (found?.[0] ?? 'other') as Preset;
}

/** True if the names of a preset were left as they are. One of them alone may be somebody's own. */
export function isUnfinished(subject: string): boolean {
  return ['ORGANISATION/REPOSITORY', 'GROUP/PROJECT', 'NAMESPACE:ACCOUNT'].some((names) =>
    subject.includes(names),
  );
}

/** The seconds that a number of minutes is, if a token of the registry may be valid that long. */
export function lifetimeOf(minutes: string): number | undefined {
  const seconds = Number(minutes) * 60;
  return Number.isInteger(seconds) && seconds >= 60 && seconds <= 86_400 ? seconds : undefined;
}

/** The same as text. */
export function minutesText(seconds: number): string {
  return String(Math.round((seconds / 60) * 100) / 100);
}

/** Claims and what they must be, a line each: `name=pattern`. Nothing for a line that is not of that form. */
export function claimsOf(text: string): Record<string, string> | undefined {
  const claims: Record<string, string> = {};
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '') continue;
    const at = line.indexOf('=');
    if (at < 1 || at === line.length - 1) return undefined;
    claims[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return claims;
}

/** The same as text. */
export function claimsText(claims: Record<string, string>): string {
  return Object.entries(claims)
    .map(([name, pattern]) => `${name}=${pattern}`)
    .join('\n');
}

/** A set of keys that somebody pasted; nothing for what is none. */
export function keysOf(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isSet = typeof parsed === 'object' && parsed !== null && Object.hasOwn(parsed, 'keys');
    return isSet ? (parsed as object) : undefined;
  } catch {
    return undefined;
  }
}
