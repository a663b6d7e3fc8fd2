/** The settings of sign-in by OIDC as their fields hold them. */
import type { Settings, Value } from '../../lib/api/setting';

const TEXTS = [
  'oidc_name',
  'oidc_endpoint',
  'oidc_client_id',
  'oidc_scope',
  'oidc_user_claim',
  'oidc_groups_claim',
  'oidc_group_filter',
  'oidc_admin_group',
  'oidc_ca_certificate',
] as const;
const FLAGS = ['oidc_verify_cert', 'oidc_auto_onboard', 'oidc_logout'] as const;

export type Oidc = Record<(typeof TEXTS)[number], string> &
  Record<(typeof FLAGS)[number], boolean> & {
    /** What is typed: the one that is stored is never shown. */
    oidc_client_secret: string;
    /** Whether user interfaces show it first. */
    first: boolean;
  };

export function oidcOf(stored: Settings): Oidc {
  const texts = TEXTS.map((name) => [name, String(stored[name]?.value ?? '')]);
  const flags = FLAGS.map((name) => [name, stored[name]?.value === true]);
  return {
    ...(Object.fromEntries([...texts, ...flags]) as Oidc),
    oidc_client_secret: '',
    first: stored.auth_mode?.value === 'oidc_auth' && stored.primary_auth_mode?.value === true,
  };
}

/** As the server takes them, but for the secret. */
export function wantedOidc(oidc: Oidc, was: Oidc): Record<string, Value> {
  const { first, ...others } = oidc;
  const wanted: Record<string, Value> = {
    ...others,
    oidc_ca_certificate: oidc.oidc_ca_certificate.trim(),
  };
  delete wanted.oidc_client_secret;
  if (first !== was.first) {
    wanted.primary_auth_mode = first;
    if (first) wanted.auth_mode = 'oidc_auth';
  }
  return wanted;
}
