/** The message for every page: a JSON object, as text, in Harbor's form. */
export interface Message {
  message: string;
  type: 'success' | 'info' | 'warning' | 'danger';
  /** Dates as `MM/DD/YYYY`, the first and the last day on which it is shown. */
  fromDate?: string;
  toDate?: string;
  /** Whether readers of Harbor's own pages may close it. */
  closable?: boolean;
}

const TYPES = ['success', 'info', 'warning', 'danger'];

/** The message that a text holds, if it holds one. */
export function parseMessage(text: string): Message | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<Message>;
    if (typeof parsed.message !== 'string' || parsed.message === '') return undefined;
    const type = TYPES.includes(parsed.type ?? '') ? (parsed.type as Message['type']) : 'info';
    return { ...parsed, message: parsed.message, type };
  } catch {
    return undefined;
  }
}

/** Whether a message is to be shown at a time. */
export function isDue(message: Message, now: Date): boolean {
  const from = day(message.fromDate);
  const until = day(message.toDate);
  if (from && now < from) return false;
  return !until || now.getTime() < until.getTime() + 24 * 3600 * 1000;
}

function day(text: string | undefined): Date | undefined {
  const found = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(text ?? '');
  return found ? new Date(Number(found[3]), Number(found[1]) - 1, Number(found[2])) : undefined;
}

/** The text of a message, with all that it says besides; empty for none. */
export function messageText(said: Message): string {
  const message = said.message.trim();
  return message === '' ? '' : JSON.stringify({ closable: false, ...said, message });
}
