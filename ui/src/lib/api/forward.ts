/** What the audit log is passed on to: collectors, and endpoints of registry notifications. */
import { send } from '../client';

/** How far behind a receiver is. */
export interface Receiver {
  /** Entries that wait; 10000 for more. */
  waiting: number;
  lag_seconds: number;
  sent_time?: string;
  failures: number;
  failing_since?: string;
  /** Why the last attempt failed. */
  error: string;
}
export interface Collector extends Receiver {
  collector: 'syslog' | 'http';
  address: string;
  protocol: string;
  /** Whether what is sent may be lost without notice. */
  lossy: boolean;
}
export interface Endpoint extends Receiver {
  name: string;
  url: string;
}
/** What came of a test line. */
export interface ForwardTest {
  collector: 'syslog' | 'http';
  address: string;
  protocol: string;
  ok: boolean;
  /** What is wrong. */
  detail: string;
}

type Asking = { signal?: AbortSignal; background?: boolean };

export async function listCollectors(asking: Asking): Promise<Collector[]> {
  return (await send<Collector[]>('GET', '/api/ext/v1/audit-forward', asking)).body;
}

export async function listEndpoints(asking: Asking): Promise<Endpoint[]> {
  return (await send<Endpoint[]>('GET', '/api/ext/v1/registry-notifications', asking)).body;
}

/** Sends each collector a line that says that it is a test, with the settings that are saved. */
export async function testForward(): Promise<ForwardTest[]> {
  return (await send<ForwardTest[]>('POST', '/api/ext/v1/audit-forward/test')).body;
}
