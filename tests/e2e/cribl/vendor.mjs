// Plays the vendor's side of the Internet: a DNS server that knows cdn.cribl.io as this pod and asks
// the cluster's for everything else, and the web server behind that name on ports 80 and 443.
// GET /seen lists what reached it.
import dgram from 'node:dgram';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const OURS = ['cdn.cribl.io', 'elsewhere.test'];
const address = process.env.POD_IP.split('.').map(Number);
const upstream = /^nameserver\s+(\S+)/m.exec(fs.readFileSync('/etc/resolv.conf', 'utf8'))[1];
const seen = [];

// The name in the one question of a DNS message, its type, and where the question ends.
function question(message) {
  const labels = [];
  let at = 12;
  for (let length = message[at]; length; length = message[at]) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += length + 1;
  }
  return {name: labels.join('.'), type: message.readUInt16BE(at + 1), end: at + 5};
}

function reply(message, {type, end}) {
  const head = Buffer.from(message.subarray(0, end));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(type === 1 ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  // A pointer to the question's name, type A, class IN, 1 second, four bytes.
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address]);
  return type === 1 ? Buffer.concat([head, answer]) : head;
}

const dns = dgram.createSocket('udp4');
dns.on('message', (message, from) => {
  const asked = question(message);
  if (OURS.includes(asked.name)) {
    dns.send(reply(message, asked), from.port, from.address);
    return;
  }
  const onward = dgram.createSocket('udp4');
  const done = setTimeout(() => onward.close(), 5000);
  onward.on('message', (answer) => {
    clearTimeout(done);
    onward.close();
    dns.send(answer, from.port, from.address);
  });
  onward.on('error', () => {});
  onward.send(message, 53, upstream);
});
dns.bind(53);

// Large enough that it takes many reads, and different at every offset.
const download = Buffer.from(Array.from({length: 1 << 18}, (_, n) => `${n}\n`).join(''));

function serve(request, response) {
  const path = new URL(request.url, 'http://x').pathname;
  if (path === '/seen') {
    response.end(JSON.stringify(seen));
    return;
  }
  seen.push({method: request.method, host: request.headers.host, url: request.url, headers: request.rawHeaders});
  if (path.startsWith('/dl/')) {
    response.setHeader('content-type', 'application/gzip');
    response.end(download);
  } else if (path.startsWith('/telemetry/')) {
    response.setHeader('content-type', 'text/html');
    response.end('cribl /// living the stream!\n');
  } else {
    response.statusCode = 404;
    response.end('not here\n');
  }
}

http.createServer(serve).listen(80, '0.0.0.0');
const own = {cert: fs.readFileSync('/opt/pki/vendor.crt'), key: fs.readFileSync('/opt/pki/vendor.key')};
https.createServer(own, serve).listen(443, '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
console.log(JSON.stringify({message: 'started', address: process.env.POD_IP, upstream}));
