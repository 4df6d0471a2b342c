/**
 * What everything is measured against: `node:http` with its own defaults, which answers four fixed headers to whatever it
 * is asked. Prints its port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const headers = [
  'Remote-User',
  'user7',
  'Remote-Groups',
  'users,team7',
  'Remote-Name',
  'User 7',
  'Remote-Email',
  'user7@example.com',
  'Content-Length',
  '0',
];

const server = createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end();
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
