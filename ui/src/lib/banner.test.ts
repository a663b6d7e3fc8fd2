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
  expect(parseMessage(messageText({ message: ' Hello ', type: 'warning' }))).toEqual({
    message: 'Hello',
    type: 'warning',
    closable: false,
  });
  expect(messageText({ message: '  ', type: 'info' })).toBe('');
});

test('a message that is changed keeps its days, and what else it says', () => {
  const text = '{"message":"m","type":"info","fromDate":"12/01/2026","closable":true,"audience":"all"}';
  const read = parseMessage(text);
  expect(read && JSON.parse(messageText({ ...read, message: 'n' }))).toEqual({
    message: 'n',
    type: 'info',
    fromDate: '12/01/2026',
    closable: true,
    audience: 'all',
  });
});
