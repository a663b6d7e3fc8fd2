// Something of every kind, for pages that would be empty otherwise: with names as long as they get, in two scripts.
import { ADMIN, must, push, REGISTRY, REPOSITORY } from './registry.js';

const LONG = 'a-name-that-is-as-long-as-names-get-when-somebody-puts-everything-into-it';
/** The project that has all of it. */
export const PROJECT = 'platform';
const PULL = [{ resource: 'repository', action: 'pull' }];
const selector = (decoration, pattern, extras) => ({ kind: 'doublestar', decoration, pattern, extras });
const idOf = (answer) => Number(answer.headers.location.split('/').pop());
const list = async (path) => JSON.parse((await must('GET', path)).text);

/** Makes it, once; where the pages are that have numbers in their addresses. */
export async function seedRows() {
  const made = await list('/api/v2.0/registries?q=name=rows-copy');
  if (made.length === 0) await makeRows();
  const [{ id }] = await list('/api/v2.0/replication/policies?q=name=rows-copy');
  const [run] = await list(`/api/v2.0/replication/executions?policy_id=${id}`);
  const hooks = `/api/v2.0/projects/${PROJECT}/webhook/policies`;
  const [hook] = await list(`${hooks}?q=name=rows-hook`);
  return {
    policy: `/ui/admin/replication/${id}`,
    run: `/ui/admin/replication/${id}/${run.id}`,
    hook: `/ui/projects/${PROJECT}/webhooks/${hook.id}`,
  };
}

async function makeRows() {
  const { project_id: project } = await list(`/api/v2.0/projects/${PROJECT}`);
  await labels(project);
  await robots();
  await rules(project);
  await hooks();
  for (const name of ['北岸运维组', `cn=${LONG},ou=teams,dc=northquay,dc=example`])
    await must('POST', '/api/v2.0/usergroups', { body: { group_name: name, group_type: 3 } });
  const member = { role_id: 3, member_group: { group_name: '北岸运维组', group_type: 3 } };
  await must('POST', `/api/v2.0/projects/${PROJECT}/members`, { body: member });
  await push(`${PROJECT}/${LONG}/${LONG}`, `${LONG}.${'9'.repeat(50)}`);
  await copies();
}

async function labels(project) {
  const wanted = [
    ['production', '#3c9a46', 'What runs at the sites', 'p'],
    ['质量保证', '#2f80ed', '已通过全部测试', 'p'],
    [LONG, '#b0479c', `Everything about ${LONG}`, 'p'],
    ['approved', '#3c9a46', 'For all projects', 'g'],
  ];
  for (const [name, color, description, scope] of wanted) {
    const body = { name, color, description, scope, project_id: scope === 'p' ? project : 0 };
    await must('POST', '/api/v2.0/labels', { body });
  }
  const own = await list(`/api/v2.0/labels?scope=p&project_id=${project}&page_size=100`);
  const [, repository] = REPOSITORY.split('/');
  for (const { id, name } of own)
    if (wanted.some(([one]) => one === name))
      await must('POST', `/api/v2.0/projects/${PROJECT}/repositories/${repository}/artifacts/2.14.3/labels`, {
        body: { id },
      });
}

async function robots() {
  const wanted = [
    ['ci', 'Builds and pushes', 30, 'project'],
    ['mirror', LONG, -1, 'project'],
    [LONG, '夜间构建', 1, 'project'],
    ['ops', 'Watches all projects', -1, 'system'],
  ];
  for (const [name, description, duration, level] of wanted) {
    const permissions = [{ kind: 'project', namespace: level === 'system' ? '*' : PROJECT, access: PULL }];
    await must('POST', '/api/v2.0/robots', { body: { name, description, duration, level, permissions } });
  }
}

async function rules(project) {
  for (const [name, issuer, subject] of [
    ['deploy', 'https://token.actions.githubusercontent.com', 'repo:northquay/edge:ref:refs/heads/main'],
    [LONG.slice(0, 60), `https://issuer.example/${LONG}`, `project_path:${LONG}:ref_type:branch:ref:main`],
  ]) {
    const body = {
      name,
      issuer,
      subject,
      audience: 'registry.example',
      claims: {},
      role: 'developer',
      lifetime: 900,
    };
    await must('POST', `/api/ext/v1/projects/${PROJECT}/workload-rules`, { body });
  }
  for (const [tags, repositories] of [
    ['v*', 'releases/**'],
    [`{${LONG},stable}`, `${LONG}/**`],
  ]) {
    const path = `/api/v2.0/projects/${PROJECT}/immutabletagrules`;
    const body = {
      action: 'immutable',
      template: 'immutable_template',
      scope_selectors: { repository: [selector('repoMatches', repositories)] },
      tag_selectors: [selector('matches', tags)],
    };
    const made = await must('POST', path, { body });
    if (tags === 'v*') continue;
    await must('PUT', `${path}/${idOf(made)}`, { body: { ...body, id: idOf(made), disabled: true } });
  }
  const rule = (template, params, repositories, tags) => ({
    action: 'retain',
    template,
    params,
    scope_selectors: { repository: [selector('repoMatches', repositories)] },
    tag_selectors: [selector('matches', tags, '{"untagged":true}')],
  });
  const answer = await must('POST', '/api/v2.0/retentions', {
    body: {
      algorithm: 'or',
      scope: { level: 'project', ref: project },
      trigger: { kind: 'Schedule', settings: { cron: '0 0 3 * * *' } },
      rules: [
        rule('latestPushedK', { latestPushedK: 10 }, '**', '**'),
        rule('nDaysSinceLastPull', { nDaysSinceLastPull: 90 }, `${LONG}/**`, `{${LONG},stable}`),
      ],
    },
  });
  await must('POST', `/api/v2.0/retentions/${idOf(answer)}/executions`, { body: { dry_run: true } });
}

/** One of them sends nothing that tests do; the other is off. */
async function hooks() {
  const http = { type: 'http', address: `https://ci.example/${LONG}`, payload_format: 'CloudEvents' };
  const slack = { type: 'slack', address: 'https://chat.example/hook' };
  for (const [name, description, target, enabled] of [
    ['rows-hook', '夜间构建', http, true],
    [LONG, `Everything about ${LONG}`, slack, false],
  ]) {
    const body = { name, description, enabled, event_types: ['QUOTA_EXCEED'], targets: [target] };
    await must('POST', `/api/v2.0/projects/${PROJECT}/webhook/policies`, { body });
  }
}

/** The server copies to itself. */
async function copies() {
  const site = await must('POST', '/api/v2.0/registries', {
    body: {
      name: 'rows-copy',
      type: 'harbor',
      url: REGISTRY.origin,
      insecure: true,
      description: `${LONG}: 上海机房`,
      credential: { type: 'basic', access_key: ADMIN[0], access_secret: ADMIN[1] },
    },
  });
  const policy = (name, trigger, pattern, enabled) => ({
    name,
    description: name,
    src_registry: null,
    dest_registry: { id: idOf(site) },
    filters: [{ type: 'name', value: pattern }],
    trigger,
    enabled,
    override: true,
    dest_namespace: 'sandbox/rows',
    dest_namespace_replace_count: 0,
  });
  const copy = await must('POST', '/api/v2.0/replication/policies', {
    body: policy('rows-copy', { type: 'manual' }, `${PROJECT}/tools/**`, true),
  });
  const cron = { type: 'scheduled', trigger_settings: { cron: '0 0 2 * * *' } };
  await must('POST', '/api/v2.0/replication/policies', { body: policy(LONG, cron, `${PROJECT}/**`, false) });
  await must('POST', '/api/v2.0/replication/executions', { body: { policy_id: idOf(copy) } });
}
