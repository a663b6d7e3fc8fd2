/** Where groups come from. */
import type { GroupType } from './api/group';

/** The key of a kind's name. */
export function groupKind(type: GroupType): 'groups.ldap' | 'groups.proxy' | 'groups.oidc' {
  return type === 1 ? 'groups.ldap' : type === 2 ? 'groups.proxy' : 'groups.oidc';
}
