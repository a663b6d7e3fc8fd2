/** Builds `q`, the conditions of a list: `name=~web,public=\true`. */
export type Condition = { is: string | number | boolean } | { has: string };

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
  const [mark, given] = 'is' in condition ? ['\\', String(condition.is)] : ['~', condition.has];
  const text = given.replaceAll(',', '').trim();
  return text && mark + text.replaceAll('%', '%25');
}
