/** Types of registry: their names, which no language translates, and what they settle of addresses and accounts. */
import type { AdapterInfo } from '../../lib/api/registry';

const NAMES: Record<string, string> = {
  'ali-acr': 'Alibaba Cloud ACR',
  'aws-ecr': 'Amazon ECR',
  'azure-acr': 'Azure ACR',
  'docker-hub': 'Docker Hub',
  'docker-registry': 'Docker Registry',
  dtr: 'Docker Trusted Registry',
  gantry: 'Gantry',
  'github-ghcr': 'GitHub GHCR',
  gitlab: 'GitLab',
  'google-gar': 'Google Artifact Registry',
  'google-gcr': 'Google GCR',
  harbor: 'Harbor, Gantry',
  'huawei-SWR': 'Huawei SWR',
  'jfrog-artifactory': 'JFrog Artifactory',
  oci: 'OCI',
  quay: 'Quay',
  'tencent-tcr': 'Tencent TCR',
  'volcengine-cr': 'Volcengine CR',
  zot: 'zot',
};

/** The name of a type; one that we do not know keeps the server's. */
export function providerName(type: string): string {
  return NAMES[type] ?? type;
}

/** What a type settles: one address, or some to choose from; the name of the account. */
export interface Preset {
  fixed?: string;
  addresses: { value: string; text: string }[];
  accessKey?: string;
}

export function presetOf(info: AdapterInfo | undefined): Preset {
  const { endpoint_type, endpoints } = info?.endpoint_pattern ?? {};
  const addresses = (endpoints ?? []).map(({ key, value }) => ({ value, text: key }));
  const { access_key_type, access_key_data } = info?.credential_pattern ?? {};
  return {
    fixed: /fix$/i.test(endpoint_type ?? '') ? addresses[0]?.value : undefined,
    addresses: /list$/i.test(endpoint_type ?? '') ? addresses : [],
    accessKey: /fix$/i.test(access_key_type ?? '') ? access_key_data : undefined,
  };
}

/** Whether a text may be the address of a registry: what the server has the last word on. */
export function isAddress(text: string): boolean {
  if (!/^https?:\/\/\S+$/i.test(text)) return false;
  try {
    return new URL(text).host !== '';
  } catch {
    return false;
  }
}
