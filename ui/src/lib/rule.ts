/** The server's rules on names and passwords, checked before it is asked. */

/** Which rule a password breaks first. */
export type Weakness = 'length' | 'lower' | 'upper' | 'digit';

export function weakness(password: string): Weakness | undefined {
  const length = [...password].length;
  if (length < 8 || length > 128) return 'length';
  if (!/\p{Lowercase}/u.test(password)) return 'lower';
  if (!/\p{Uppercase}/u.test(password)) return 'upper';
  return /[0-9]/.test(password) ? undefined : 'digit';
}

/** Whether a project may have this name: lower case, digits, single `.`, `_` and `-` between them. */
export function isProjectName(name: string): boolean {
  return name.length <= 255 && /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(name);
}

/** Whether a tag may have this name. */
export function isTagName(name: string): boolean {
  return /^\w[\w.-]{0,127}$/.test(name);
}

/** Whether a robot may have this name: as a project's. */
export const isRobotName = isProjectName;

/** Whether an account may have this name. */
export function isUserName(name: string): boolean {
  return name.length > 0 && new TextEncoder().encode(name).length <= 255 && !/[,"~#%$]/.test(name);
}

/** Whether a text is what mailed links hold. */
export function isLinkToken(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Whether a text looks like a mail address. */
export function isEmail(text: string): boolean {
  return /^[^\s@]+@[^\s@]+$/.test(text);
}
