import { expect, test } from 'vitest';
import { Draft } from './draft.svelte';

const stored = {
  ldap_url: { value: 'ldap://one', editable: true },
  ldap_timeout: { value: 5, editable: true },
  ldap_verify_cert: { value: true, editable: false },
  ldap_ca_certificate: { value: 'PEM\n', editable: true },
};
const names = [...Object.keys(stored), 'ldap_search_password'];

test('only what differs is sent, as the kind that is stored', () => {
  const draft = new Draft(stored, names);
  expect(draft.differs()).toBe(false);
  draft.set('ldap_url', ' ldaps://two ');
  draft.set('ldap_timeout', '30');
  draft.set('ldap_search_password', ' with spaces ');
  expect(draft.changes).toEqual({
    ldap_url: 'ldaps://two',
    ldap_timeout: 30,
    ldap_search_password: ' with spaces ',
  });
  expect(draft.differs('ldap_ca_certificate')).toBe(false);
  draft.set('ldap_url', 'ldap://one');
  draft.set('ldap_timeout', '5');
  draft.set('ldap_search_password', '');
  expect(draft.changes).toEqual({});
});

test('numbers keep their bounds', () => {
  const draft = new Draft(stored, names);
  for (const [typed, fits] of [
    ['1', true],
    ['300', true],
    ['301', false],
    ['0', false],
    ['', false],
    ['5.5', false],
    ['-1', false],
  ] as const) {
    draft.set('ldap_timeout', typed);
    expect(draft.fits('ldap_timeout')).toBe(fits);
  }
  expect(draft.ready).toBe(false);
});

test('what means nothing is not sent, and holds the form back', () => {
  const draft = new Draft(stored, names);
  draft.set('ldap_url', undefined);
  expect(draft.ready).toBe(false);
  expect(draft.differs()).toBe(true);
  expect(draft.changes).toEqual({});
});

test('a refusal goes when its field is typed in', () => {
  const draft = new Draft(stored, names);
  draft.refused = { name: 'ldap_url', reason: 'must be something else' };
  draft.set('ldap_timeout', '6');
  expect(draft.refused).toBeDefined();
  draft.set('ldap_url', 'ldap://three');
  expect(draft.refused).toBeUndefined();
  expect(draft.locked('ldap_verify_cert')).toBe(true);
});

test('what is not shown is not sent, and holds nothing back', () => {
  const draft = new Draft(stored, names);
  draft.hides = (name) => name === 'ldap_timeout' && draft.text('ldap_url') === '';
  draft.set('ldap_timeout', '999');
  expect(draft.ready).toBe(false);
  draft.set('ldap_url', '');
  expect(draft.ready).toBe(true);
  expect(draft.changes).toEqual({ ldap_url: '' });
  draft.set('ldap_url', 'ldap://one');
  expect(draft.differs()).toBe(true);
});
