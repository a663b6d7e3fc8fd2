/** Builds `q`, the conditions of a list: `name=~web,public=\true`. */
export type Condition =
  | { is: string | number | boolean }
  | { has: string }
  /** Moments; either may be missing. */
  | { from?: Date; to?: Date };

/** The text of `q`; conditions that say nothing are left out. */
export function conditions(of: Record<string, Condition | undefined>): string | undefined {
  const terms = Object.entries(of).flatMap(([field, condition]) => {
    const text = condition && value(condition);
    return text ? [`${field}=${text}`] : [];
  });
  return terms.length > 0 ? terms.join(',') : undefined;
}

// The server decodes `q` once more after the query string, and knows no escape for a comma: it is dropped.
function value(condition: Condition): string | undefined {
  if (!('is' in condition || 'has' in condition)) return within(condition);
  const [mark, given] = 'is' in condition ? ['\\', String(condition.is)] : ['~', condition.has];
  const text = given.replaceAll(',', '').trim();
  return text && mark + text.replaceAll('%', '%25');
}

/** `[2026-11-22T09:14:00~]`, in UTC. */
function within({ from, to }: { from?: Date; to?: Date }): string | undefined {
  if (!from && !to) return undefined;
  return `[${stamp(from)}~${stamp(to)}]`;
}

const stamp = (moment: Date | undefined) => moment?.toISOString().slice(0, 19) ?? '';
