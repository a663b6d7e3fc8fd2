/** The last run of each policy of a page. */
import { type Execution, listExecutions, type Policy } from '../../lib/api/replication';
import type { Options } from '../../lib/client';

/** How many of the newest runs are asked for at once. */
const NEWEST = 100;

/** The newest runs of all policies have most; where there are more runs, a policy that is not among them is asked for by
 *  itself. */
export async function lastRuns(policies: Policy[], options: Options): Promise<Map<number, Execution>> {
  const newest = { pageSize: NEWEST, page: 1, sort: '-start_time' };
  const { rows, total } = await listExecutions({}, newest, options);
  const found = new Map<number, Execution>();
  for (const run of rows) if (!found.has(run.policy_id)) found.set(run.policy_id, run);
  const missing = total > rows.length ? policies.filter(({ id }) => !found.has(id)) : [];
  const asked = missing.map(({ id }) =>
    listExecutions({ policy_id: id }, { ...newest, pageSize: 1 }, options),
  );
  for (const { rows: own } of await Promise.all(asked)) if (own[0]) found.set(own[0].policy_id, own[0]);
  return found;
}
