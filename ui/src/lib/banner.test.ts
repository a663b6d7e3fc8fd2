import { expect, test } from 'vitest';
import { isDue, messageText, parseMessage } from './banner';

test('a text that holds no message is none', () => {
  for (const text of ['', 'plain', '{}', '{"message":""}', '[]', 'null'])
    expect(parseMessage(text), text).toBeUndefined();
  expect(parseMessage('{"message":"m","type":"odd"}')).toMatchObject({ message: 'm', type: 'info' });
});

test('both days are whole', () => {
  const message = { message: 'm', type: 'info', fromDate: '11/29/2026', toDate: '11/30/2026' } as const;
  expect(isDue(message, new Date(2026, 10, 28, 23, 59))).toBe(false);
  expect(isDue(message, new Date(2026, 10, 29))).toBe(true);
  expect(isDue(message, new Date(2026, 10, 30, 23, 59))).toBe(true);
  expect(isDue(message, new Date(2026, 11, 1))).toBe(false);
});

test('what is written is read again', () => {
  expect(parseMessage(messageText(' Hello ', 'warning'))).toMatchObject({
    message: 'Hello',
    type: 'warning',
  });
  expect(messageText('  ', 'info')).toBe('');
});
