import { expect, test } from 'vitest';
import { type WebhookDraft, webhookOnWire, type WebhookPolicy } from './webhook';

const draft: WebhookDraft = {
  name: 'ci',
  description: '',
  events: ['PUSH_ARTIFACT'],
  tagged: true,
  type: 'http',
  format: 'CloudEvents',
  address: 'https://ci.example/hook',
  authHeader: undefined,
  secret: undefined,
  verify: true,
};
const stored: WebhookPolicy = {
  id: 7,
  name: 'ci',
  enabled: false,
  event_types: ['PULL_ARTIFACT'],
  targets: [
    { type: 'http', address: 'https://ci.example/hook', auth_header: '*****', secret: '*****' },
    { type: 'slack', address: 'https://chat.example' },
  ],
};

test('a new policy has no secrets, and is on', () => {
  const [target] = webhookOnWire(draft, undefined).targets;
  expect(target).toMatchObject({ auth_header: '', secret: '', payload_format: 'CloudEvents' });
  expect(webhookOnWire(draft, undefined)).toMatchObject({ enabled: true, untagged: false });
});

test('what a form does not show stays: secrets, other targets, whether it is on', () => {
  const wire = webhookOnWire(draft, stored);
  expect(wire.enabled).toBe(false);
  expect(wire.targets[0]).toMatchObject({ auth_header: '*****', secret: '*****' });
  expect(wire.targets[1]).toEqual(stored.targets[1]);
});

test('secrets are replaced and taken away', () => {
  const [target] = webhookOnWire({ ...draft, authHeader: 'Bearer x', secret: '' }, stored).targets;
  expect(target).toMatchObject({ auth_header: 'Bearer x', secret: '' });
});

test('Slack has a form of its own, and no header', () => {
  const [target] = webhookOnWire({ ...draft, type: 'slack', authHeader: 'Bearer x' }, stored).targets;
  expect(target).not.toHaveProperty('payload_format');
  expect(target?.auth_header).toBe('');
});
