/** What a run did with each artifact of a repository, read from the table in the log of its task. */
export interface Verdict {
  digest: string;
  tags: string;
  pushed: string;
  pulled: string;
  /** `RETAIN`, `DEL`, `IMMUTABLE`, `ERR`. */
  verdict: string;
  /** Why, where the log says it. */
  reason: string;
}

const cellsOf = (line: string) =>
  line
    .slice(line.indexOf('|') + 1, line.lastIndexOf('|'))
    .split('|')
    .map((cell) => cell.trim());

/** The rows of the table; none if the log has no table. */
export function verdictsOf(log: string): Verdict[] {
  let head: string[] | undefined;
  const verdicts: Verdict[] = [];
  for (const line of log.split('\n')) {
    if (line.indexOf('|') === line.lastIndexOf('|')) continue;
    const cells = cellsOf(line);
    const names = cells.map((cell) => cell.toLowerCase().replace(/\W/g, ''));
    if (names.includes('digest') && names.includes('retention')) head = names;
    else if (head && cells.length === head.length) verdicts.push(verdict(head, cells));
  }
  return verdicts.filter(({ verdict: word }) => word !== '');
}

function verdict(head: string[], cells: string[]): Verdict {
  const of = (...names: string[]) => cells[head.findIndex((name) => names.includes(name))] ?? '';
  return {
    digest: of('digest'),
    tags: of('tag', 'tags'),
    pushed: of('pushedtime', 'pushed'),
    pulled: of('pulledtime', 'pulled'),
    verdict: of('retention').toUpperCase(),
    reason: of('rule', 'reason', 'why'),
  };
}
