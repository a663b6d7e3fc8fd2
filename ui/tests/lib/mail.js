// A mail server that keeps what it is sent.
import { createServer } from 'node:net';

/** Starts one. `next` waits for a mail; the text of it. */
export async function startMail() {
  const mails = [];
  const waiting = [];
  const keep = (text) => (waiting.length > 0 ? waiting.shift()(text) : mails.push(text));
  const server = createServer((socket) => talk(socket, keep));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    next: () =>
      mails.length > 0 ? Promise.resolve(mails.shift()) : new Promise((resolve) => waiting.push(resolve)),
    stop: () => server.close(),
  };
}

/** The mail without its line breaks and escapes for old servers, of which a link would be two. */
function readable(text) {
  if (!/^Content-Transfer-Encoding: quoted-printable$/im.test(text)) return text;
  const bytes = text
    .replace(/=\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

function talk(socket, keep) {
  const say = (line) => socket.write(`${line}\r\n`);
  let buffer = '';
  let text;
  const hear = (line) => {
    if (text !== undefined) {
      if (line !== '.') return void (text += `${line}\n`);
      keep(readable(text));
      text = undefined;
      return say('250 ok');
    }
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO') return say('250-here\r\n250 8BITMIME');
    if (verb === 'QUIT') return socket.end('221 bye\r\n');
    if (verb === 'DATA') text = '';
    return say(verb === 'DATA' ? '354 go on' : '250 ok');
  };
  say('220 here');
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    buffer += data;
    const lines = buffer.split('\r\n');
    buffer = lines.pop();
    lines.forEach(hear);
  });
}
