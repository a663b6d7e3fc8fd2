import { expect, test } from 'vitest';
import { placeOf } from './portal';

const digest = `sha256:${'a'.repeat(64)}`;
const inside = (below: string[]) => ({ project: '7', below });

test.each([
  ['projects', { below: ['projects'] }],
  ['projects/7', inside(['repositories'])],
  ['projects/7/summary', inside(['summary'])],
  ['projects/7/repositories', inside(['repositories'])],
  ['projects/7/members', inside(['members'])],
  ['projects/7/labels', inside(['labels'])],
  ['projects/7/configs', inside(['settings'])],
  ['projects/7/logs', inside(['audit'])],
  ['projects/7/scanner', inside(['security'])],
  ['projects/7/p2p-provider/policies', inside(['preheat'])],
  ['projects/7/tag-strategy', inside(['retention'])],
  ['projects/7/tag-strategy/tag-retention', inside(['retention'])],
  ['projects/7/tag-strategy/immutable-tag', inside(['policies'])],
  ['projects/7/robot-account', inside(['robots'])],
  ['projects/7/webhook', inside(['webhooks'])],
  ['projects/7/repositories/app', inside(['repositories', 'app', '-', 'artifacts'])],
  ['projects/7/repositories/a%252Fb/info-tab', inside(['repositories', 'a/b', '-', 'info'])],
  ['projects/7/repositories/a%2Fb/artifacts-tab', inside(['repositories', 'a/b', '-', 'artifacts'])],
  [
    `projects/7/repositories/app/artifacts-tab/depth/sha256:00/artifacts/${encodeURIComponent(digest)}`,
    inside(['repositories', 'app', '-', 'digest', digest]),
  ],
  ['logs', { below: ['audit'] }],
  ['logs/audit-log', { below: ['audit'] }],
  ['users', { below: ['admin', 'users'] }],
  ['groups', { below: ['admin', 'groups'] }],
  ['robot-accounts', { below: ['admin', 'robots'] }],
  ['registries', { below: ['admin', 'registries'] }],
  ['labels', { below: ['admin', 'labels'] }],
  ['replications/3/12/tasks', { below: ['admin', 'replication'] }],
  ['distribution/instances', { below: ['admin', 'preheat'] }],
  ['project-quotas', { below: ['admin', 'quotas'] }],
  ['interrogation-services/security-hub', { below: ['security', 'overview'] }],
  ['interrogation-services/scanners', { below: ['admin', 'scanners'] }],
  ['interrogation-services/vulnerability', { below: ['admin', 'scanners'] }],
  ['clearing-job/gc', { below: ['admin', 'gc'] }],
  ['clearing-job/audit-log-purge', { below: ['admin', 'audit-retention'] }],
  ['job-service-dashboard/pending-jobs', { below: ['admin', 'jobs'] }],
  ['job-service-dashboard/workers', { below: ['admin', 'jobs'] }],
  ['job-service-dashboard/schedules', { below: ['admin', 'jobs'] }],
  ['configs/auth', { below: ['admin', 'settings'] }],
  ['nothing/that/was', { below: [] }],
  ['example.com%0D%0Ax', { below: [] }],
])('/harbor/%s', (path, place) => {
  expect(placeOf(path)).toEqual(place);
});
