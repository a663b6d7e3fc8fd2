// A syslog server that keeps what it is sent, by TCP with counted messages.
import { createServer } from 'node:net';

export async function startCollector() {
  const messages = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const parts = [];
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => {
      messages.push(...counted(Buffer.concat(parts)));
      socket.end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${server.address().port}`, messages, stop: () => server.close() };
}

function counted(bytes) {
  const messages = [];
  while (bytes.length > 0) {
    const space = bytes.indexOf(' ');
    const end = space + 1 + Number(bytes.subarray(0, space));
    messages.push(bytes.subarray(space + 1, end).toString());
    bytes = bytes.subarray(end);
  }
  return messages;
}
