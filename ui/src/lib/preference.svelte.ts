/** What the reader chose, kept in this browser: theme, density, language, rows of a page, the navigation's width. */
import type { Client } from './pull';

export type Theme = 'light' | 'dark' | 'system';
export type Density = 'comfortable' | 'compact';

interface Saved {
  theme: Theme;
  density: Density;
  language?: string;
  pageSize: number;
  narrowNavigation: boolean;
  /** The name for the next sign-in, if it is to be remembered. */
  userName?: string;
  /** Projects opened last, newest first, and whose account opened them: others who use this browser do not see them. */
  recent: string[];
  recentBy?: number;
  /** What pulls, and whether it names the tag or the digest. */
  pullClient?: Client;
  pullBy: 'tag' | 'digest';
  /** Whether single keys do something. */
  keys: boolean;
}

const KEY = 'gantry';
export const PAGE_SIZES = [15, 25, 50, 100];

function read(): Saved {
  const standard: Saved = {
    theme: 'system',
    density: 'comfortable',
    pageSize: 25,
    narrowNavigation: false,
    recent: [],
    pullBy: 'tag',
    keys: true,
  };
  try {
    return { ...standard, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Saved>) };
  } catch {
    return standard;
  }
}

export const preference = $state<Saved>(read());

/** Changes preferences, keeps them and applies theme and density. */
export function prefer(change: Partial<Saved>): void {
  Object.assign(preference, change);
  try {
    localStorage.setItem(KEY, JSON.stringify(preference));
  } catch {
    // Storage is off: the choice lasts until the page is left.
  }
  apply();
}

/** Shows the chosen theme and density. */
export function apply(): void {
  const { dataset } = document.documentElement;
  if (preference.theme === 'system') delete dataset.theme;
  else dataset.theme = preference.theme;
  if (preference.density === 'compact') dataset.density = 'compact';
  else delete dataset.density;
}

/** Whether the page is dark now. */
export function isDark(): boolean {
  if (preference.theme !== 'system') return preference.theme === 'dark';
  return matchMedia('(prefers-color-scheme: dark)').matches;
}

/** Puts a project at the head of those that an account opened last, or somebody without one. */
export function remember(project: string, by: number | undefined): void {
  const others = recentOf(by).filter((name) => name !== project);
  prefer({ recent: [project, ...others].slice(0, 8), recentBy: by });
}

/** The projects that an account opened last in this browser, or somebody without one. */
export function recentOf(account: number | undefined): string[] {
  return preference.recentBy === account ? preference.recent : [];
}
