/** Settings while they are edited: what fields hold, by the settings' names, and what of it differs from what is stored.
 *  Numbers are text until they are sent; of a secret there is only what is typed. */
import type { Settings, Value } from '../../lib/api/setting';

/** What a field holds; nothing while what is typed means nothing. */
type Typed = Value | undefined;

/** The server's bounds of numbers. */
const BOUNDS: Record<string, readonly [least: number, most: number]> = {
  token_expiration: [1, 525_600],
  session_timeout: [1, 525_600],
  session_longest: [0, 525_600],
  robot_token_duration: [1, 36_500],
  smtp_port: [1, 65_535],
  ldap_timeout: [1, 300],
  ldap_password_secs: [0, 3600],
  ldap_reading_secs: [1, 86_400],
  ldap_outage_secs: [0, 86_400],
};

export class Draft {
  readonly #stored: Settings;
  #typed = $state<Record<string, Typed>>({});
  /** The setting that the server did not take, and why, in its words. */
  refused = $state.raw<{ name: string; reason: string }>();
  /** Whether the field of a setting is not shown now: what was typed in it is not sent. */
  hides: (name: string) => boolean = () => false;

  /** `stored`: what there is; settings that are in it and not among `names` stay as they are. */
  constructor(stored: Settings, names: readonly string[]) {
    this.#stored = stored;
    for (const name of names) this.#typed[name] = stored[name]?.value ?? '';
  }

  text(name: string): string {
    return String(this.#typed[name] ?? '');
  }

  flag(name: string): boolean {
    return this.#typed[name] === true;
  }

  set(name: string, value: Typed): void {
    this.#typed[name] = value;
    if (this.refused?.name === name) this.refused = undefined;
  }

  /** Whether a setting cannot be changed here. */
  locked(name: string): boolean {
    return this.#stored[name]?.editable === false;
  }

  /** What is stored. */
  stored(name: string): Value | undefined {
    return this.#stored[name]?.value;
  }

  /** The least and the most that a number may be; nothing for what is no number. */
  bounds(name: string): readonly [least: number, most: number] | undefined {
    return BOUNDS[name];
  }

  /** Whether what is typed may be sent. */
  fits(name: string): boolean {
    if (this.hides(name)) return true;
    const typed = this.#typed[name];
    const bounds = BOUNDS[name];
    if (!bounds) return typed !== undefined;
    const number = Number(typed);
    return /^\d{1,9}$/.test(String(typed)) && number >= bounds[0] && number <= bounds[1];
  }

  get ready(): boolean {
    return Object.keys(this.#typed).every((name) => this.fits(name));
  }

  /** Whether any of these settings, or any at all, differs from what is stored. */
  differs(...names: string[]): boolean {
    const asked = names.length > 0 ? names : Object.keys(this.#typed);
    return asked.some((name) => this.#differs(name));
  }

  /** What differs, as the server takes it. */
  get changes(): Record<string, Value> {
    const changed = Object.keys(this.#typed).filter((name) => this.#differs(name));
    const entries = changed.map((name) => [name, this.#wire(name)] as const);
    return Object.fromEntries(entries.filter((entry): entry is [string, Value] => entry[1] !== undefined));
  }

  #differs(name: string): boolean {
    if (this.hides(name)) return false;
    const stored = this.stored(name) ?? '';
    return this.#wire(name) !== (typeof stored === 'string' ? stored.trim() : stored);
  }

  #wire(name: string): Typed {
    const typed = this.#typed[name];
    const stored = this.stored(name);
    // Spaces at the ends of a secret may belong to it.
    if (typeof typed !== 'string' || stored === undefined) return typed;
    return typeof stored === 'number' ? Number(typed) : typed.trim();
  }
}
