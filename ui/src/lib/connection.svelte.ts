/** Whether the registry answers. While it does not, it is asked again at growing intervals. */
const LONGEST = 30;

export const connection = $state({
  lost: false,
  /** Seconds until the next attempt. */
  wait: 0,
  /** Grows each time the registry answers again: queries that failed are then repeated. */
  returned: 0,
});

let interval = 1;
let timer: ReturnType<typeof setInterval> | undefined;

/** Notes that a request got no answer. */
export function lose(): void {
  if (connection.lost) return;
  connection.lost = true;
  interval = 1;
  countDown();
}

/** Notes that a request was answered. */
export function regain(): void {
  if (!connection.lost) return;
  clearInterval(timer);
  connection.lost = false;
  connection.returned += 1;
}

/** Asks the registry now. */
export async function tryNow(): Promise<void> {
  clearInterval(timer);
  connection.wait = 0;
  if (await answers()) regain();
  else if (connection.lost) {
    interval = Math.min(interval * 2, LONGEST);
    countDown();
  }
}

function countDown(): void {
  clearInterval(timer);
  connection.wait = interval;
  timer = setInterval(() => {
    connection.wait -= 1;
    if (connection.wait <= 0) void tryNow();
  }, 1000);
}

async function answers(): Promise<boolean> {
  try {
    const headers = { 'X-Harbor-No-Session-Renewal': 'true' };
    return (await fetch('/api/v2.0/ping', { headers, signal: AbortSignal.timeout(5000) })).ok;
  } catch {
    return false;
  }
}

/** Asks at once when the browser says that the network is back. */
export function watchNetwork(): void {
  addEventListener('online', () => {
    if (connection.lost) void tryNow();
  });
  addEventListener('offline', lose);
}
