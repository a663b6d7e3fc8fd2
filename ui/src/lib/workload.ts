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
  certificate: { issuer: 'client-certificate', subject: 'dns:HOST.DOMAIN' },
  other: { issuer: '', subject: '' },
} as const;
export type Preset = keyof typeof PRESETS;

/** The preset that a rule's issuer belongs to. */
export function presetOf(issuer: string): Preset {
  const found = Object.entries(PRESETS).find(([, preset]) => preset.issuer === issuer);
  return (found?.[0] ?? 'other') as Preset;
}

/** True if a rule is for client certificates, which have no audience, and no keys of their own. */
export const isCertificate = (issuer: string) => issuer.trim() === PRESETS.certificate.issuer;

/** True if the names of a preset were left as they are. One of them alone may be somebody's own. */
export function isUnfinished(subject: string): boolean {
  return ['ORGANISATION/REPOSITORY', 'GROUP/PROJECT', 'NAMESPACE:ACCOUNT', 'HOST.DOMAIN'].some((names) =>
    subject.includes(names),
  );
}

/** The seconds that a number of minutes is, if a token of the registry may be valid that long. */
export function lifetimeOf(minutes: string): number | undefined {
  const seconds = Math.round(Number(minutes) * 60e6) / 1e6;
  return Number.isInteger(seconds) && seconds >= 60 && seconds <= 86_400 ? seconds : undefined;
}

/** Seconds as such a number. */
export function minutesText(seconds: number): string {
  return String(Math.round((seconds / 60) * 100) / 100);
}

/** Claims and what they must be, a line each: `name=pattern`. Nothing for a line that is not of that form. Lines that nobody
 *  touched are what they were made of, as names may have `=` in them. */
export function claimsOf(
  text: string,
  before: Record<string, string> = {},
): Record<string, string> | undefined {
  const claims: Record<string, string> = {};
  const untouched = Object.entries(before);
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const known = untouched.findIndex((claim) => lineOf(claim) === line);
    const claim = known >= 0 ? untouched.splice(known, 1)[0] : claimOf(line);
    if (!claim) return undefined;
    claims[claim[0]] = claim[1];
  }
  return claims;
}

function claimOf(line: string): [string, string] | undefined {
  const text = line.trim();
  const at = text.indexOf('=');
  return at < 1 || at === text.length - 1 ? undefined : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** The same as text. */
export function claimsText(claims: Record<string, string>): string {
  return Object.entries(claims).map(lineOf).join('\n');
}

const lineOf = ([name, pattern]: [string, string]) => `${name}=${pattern}`;

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
