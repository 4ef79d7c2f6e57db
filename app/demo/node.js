// The demo's stand-in for a Cribl node: an HTTPS client that knows its proxy and its trusted
// certificates from the environment (HTTPS_PROXY, NODE_EXTRA_CA_CERTS), and nothing of telemock.
//
// node node.js CALLS.json: a list of {method, url, headers, body}. Prints one line of JSON a call:
// {status, location, start, size, sha256, issuer}, or {error}.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const https = require('https');
const tls = require('tls');

const proxy = new URL(process.env.HTTPS_PROXY);

// One tunnel through the proxy, then TLS inside it: what HTTPS clients do behind a proxy.
class Tunnel extends https.Agent {
  createConnection(options, done) {
    const target = `${options.host}:${options.port || 443}`;
    http
      .request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target,
        headers: { host: target } })
      .on('connect', (answer, socket) => {
        if (answer.statusCode !== 200) return done(new Error(`CONNECT: ${answer.statusCode}`));
        const inner = tls.connect({ socket, servername: options.host, ALPNProtocols: ['http/1.1'] },
          () => done(null, inner));
        inner.on('error', done);
      })
      .on('error', done)
      .end();
  }
}

function call(agent, { method, url, headers, body }) {
  return new Promise((resolve) => {
    const request = https.request(url, { method, headers, agent, timeout: 10000 }, (answer) => {
      const hash = crypto.createHash('sha256');
      const issuer = answer.socket.getPeerCertificate().issuer.CN || '';
      let size = 0;
      let start = '';
      answer.on('data', (chunk) => {
        if (size < 200) start += chunk.toString('latin1').slice(0, 200);
        size += chunk.length;
        hash.update(chunk);
      });
      answer.on('end', () => resolve({ status: answer.statusCode, size, sha256: hash.digest('hex'),
        location: answer.headers.location || '', start: start.slice(0, 200), issuer }));
      answer.on('error', (e) => resolve({ error: String(e) }));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', (e) => resolve({ error: String(e) }));
    request.end(body);
  });
}

(async () => {
  const agent = new Tunnel({ keepAlive: true });
  for (const one of JSON.parse(fs.readFileSync(process.argv[2]))) {
    console.log(JSON.stringify(await call(agent, one)));
  }
  agent.destroy();
})();
