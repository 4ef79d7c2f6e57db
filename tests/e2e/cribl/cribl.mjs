// A stand-in for one Cribl Stream node. It has the ports, the probes and the traffic of the product
// as far as they are documented:
//   :9000 (Edge: :9420)  /api/v1/health, /api/v1/readiness; and /test/*, by which a test drives it
//   :4200                leader: the workers' connections, over TLS with the leader's own certificate
//   worker               one connection to the leader, a heartbeat every 50 ms
//   telemetry            GET https://cdn.cribl.io/telemetry/index.html every TELEMETRY_SECONDS
// CRIBL_DIST_MODE chooses: leader, worker, managed-edge.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import tls from 'node:tls';

const mode = process.env.CRIBL_DIST_MODE || 'leader';
const apiPort = mode === 'managed-edge' ? 9420 : 9000;
const pki = '/opt/pki';
const TELEMETRY = 'https://cdn.cribl.io/telemetry/index.html';

const say = (message, more = {}) =>
  console.log(JSON.stringify({time: new Date().toISOString(), level: 'info', message, ...more}));

// The names of the 47 parameters were seen in public; the values are made up.
export const parameters = () => ({
  v: '4.19.2-e2e00001', env: 'kubernetes', os: 'ubuntu-24.04', kv: os.release(),
  lic: process.env.TEST_LICENCE || 'bGljZW5jZS1vZi1hLXRlc3Q=', licls: 'enterprise',
  guid: process.env.TEST_GUID || '0a1b2c3d-0000-4000-8000-0123456789ab',
  p: 'stream', dm: mode, it: 'helm',
  'fc.giv': 1, 'fc.h7h': 0, 'fc.EYq': 3, 'fc.qiD': 0, 'fc.uOA': 0, 'fc.rTA': 0, 'fc.GZs': 0,
  'fc.ffg': 0, 'fc.nUz': 2, 'lk.max': 0, 'lk.csv': 0,
  pp: 1, 'pp.ie': 0, 'pp.ib': 0, 'pp.ce': 0, 'pp.cb': 0, 'pp.oe': 0, 'pp.ob': 0,
  mc: 1, ib: 1024, ob: 512, ie: 10, oe: 9, im: 1, pc: 2, dc: 3, ic: 4, qc: 0, oc: 5, sc: 6, prc: 0,
  rc: 7, wpc: 1, tpp: 0, et: 1764000000, lt: 1764000060, 'fs.r': 1,
});

// One request with a connection of its own. Never rejects: what happened is the answer.
// `connect` is an address to use in place of the URL's host.
function call(url, {method = 'GET', body = '', headers = {}, connect, family, timeout = 10000} = {}) {
  return new Promise((resolve) => {
    const began = performance.now();
    const target = new URL(url);
    const secure = target.protocol === 'https:';
    const chosen = {method, headers, agent: false, timeout: +timeout, family: family && 6};
    if (connect) {
      Object.assign(chosen, {
        host: connect, port: target.port || (secure ? 443 : 80),
        path: target.pathname + target.search, servername: target.hostname,
        headers: {Host: target.host, ...headers},
      });
    }
    const ms = () => Math.round(performance.now() - began);
    const failed = (error) => resolve({error: error.code || error.message, detail: error.message, ms: ms()});
    const answered = (answer) => {
      const {socket} = answer;
      const met = secure ? socket.getPeerCertificate() : {};
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', failed);
      answer.on('end', () => {
        const bytes = Buffer.concat(parts);
        resolve({
          status: answer.statusCode, headers: answer.headers, size: bytes.length,
          body: bytes.subarray(0, 65536).toString('base64'), ms: ms(),
          address: socket.remoteAddress, issuer: met.issuer?.CN, fingerprint: met.fingerprint256,
        });
      });
    };
    const module = secure ? https : http;
    const sent = connect ? module.request(chosen, answered) : module.request(target, chosen, answered);
    sent.on('timeout', () => sent.destroy(Object.assign(new Error('no answer in time'), {code: 'ETIMEDOUT'})));
    sent.on('error', failed);
    sent.end(body);
  });
}

async function telemetry(changes = {}) {
  const query = new URLSearchParams({...parameters(), ...changes});
  const answer = await call(`${TELEMETRY}?${query}`);
  if (answer.status !== 200) {
    say('Failed to send anonymized telemetry metadata', {level: 'error', reason: answer.error ?? answer.status});
  }
  return answer;
}

// Many reports over a few kept connections, all at once or one every `pace` ms; how many were answered
// with 200, and how long the slowest took.
async function burst({count = 100, tag, pace = 0, sockets = 8}) {
  const agent = new https.Agent({keepAlive: true, maxSockets: +sockets});
  let slowestMs = 0;
  const one = (n) => new Promise((resolve) => {
    const began = performance.now();
    const query = new URLSearchParams({...parameters(), 'fc.tag': `${tag}-${n}`});
    https.get(`${TELEMETRY}?${query}`, {agent, timeout: 15000}, (answer) => {
      answer.resume();
      answer.on('end', () => {
        slowestMs = Math.max(slowestMs, Math.round(performance.now() - began));
        resolve(answer.statusCode === 200);
      });
    }).on('timeout', function giveUp() { this.destroy(); }).on('error', () => resolve(false));
  });
  const paced = (n) => new Promise((resolve) => { setTimeout(() => resolve(one(n)), n * pace); });
  const answers = await Promise.all(Array.from({length: +count}, (_, n) => paced(n)));
  agent.destroy();
  return {answered: answers.filter(Boolean).length, slowestMs};
}

// --- data: what must never meet the sidecar ------------------------------------------------------

const beats = {sent: 0, echoed: 0, reconnects: -1, longestGapMs: 0, issuer: null, fingerprint: null, last: 0};

// To the leader: a line every 50 ms, which comes back. The longest silence is remembered.
function heartbeat(host) {
  beats.reconnects += 1;
  const socket = tls.connect(
    {host, port: 4200, servername: 'leader', ca: fs.readFileSync(`${pki}/leader-ca.crt`)},
    () => {
      const met = socket.getPeerCertificate();
      Object.assign(beats, {issuer: met.issuer.CN, fingerprint: met.fingerprint256});
    },
  );
  const timer = setInterval(() => {
    beats.sent += 1;
    socket.write(`${JSON.stringify({type: 'info', status: 'healthy', n: beats.sent})}\n`);
  }, 50);
  socket.on('data', (part) => {
    const now = performance.now();
    if (beats.last) beats.longestGapMs = Math.max(beats.longestGapMs, Math.round(now - beats.last));
    beats.last = now;
    beats.echoed += part.toString().split('\n').length - 1;
  });
  socket.on('error', (error) => { beats.error = error.code || error.message; });
  socket.on('close', () => {
    clearInterval(timer);
    setTimeout(heartbeat, 200, host);
  });
}

function leader() {
  const own = {cert: fs.readFileSync(`${pki}/leader.crt`), key: fs.readFileSync(`${pki}/leader.key`)};
  tls.createServer(own, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(4200, '0.0.0.0');
}

// --- the API, and the test's hand ----------------------------------------------------------------

// kill -9 of what was started so, also of another container's process, which the pod must allow
// (shareProcessNamespace).
function kill(command) {
  const killed = [];
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && +name !== process.pid)) {
    try {
      const line = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (line.endsWith(command)) {
        process.kill(+pid, 'SIGKILL');
        killed.push(line);
      }
    } catch { /* it ended by itself */ }
  }
  return {killed};
}

const routes = {
  '/api/v1/health': () => ({status: 'healthy'}),
  '/api/v1/readiness': () => ({status: 'ready'}),
  '/test/telemetry': (query) => telemetry(query),
  '/test/burst': burst,
  '/test/call': ({url, ...options}) => call(url, options),
  '/test/beats': ({reset}) => {
    const seen = {...beats};
    if (reset) Object.assign(beats, {longestGapMs: 0, last: 0});
    return seen;
  },
  '/test/kill': ({command}) => kill(command),
  '/test/env': () => process.env,
};

function api() {
  http.createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const route = routes[url.pathname];
    response.setHeader('content-type', 'application/json');
    if (!route) {
      response.statusCode = 404;
      response.end('{}');
      return;
    }
    response.end(JSON.stringify(await route(Object.fromEntries(url.searchParams))));
  }).listen(apiPort, '0.0.0.0');
}

// `cribl.mjs once`: one report and the end, as a batch job would. Otherwise a node that stays.
if (process.argv[2] === 'once') {
  const answer = await telemetry(process.env.TEST_TAG ? {'fc.tag': process.env.TEST_TAG} : {});
  say('telemetry', answer);
  process.exitCode = answer.status === 200 ? 0 : 1;
} else {
  for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => process.exit(0));
  api();
  if (mode === 'leader') leader();
  // As the charts give it: tcp://TOKEN@leader:4200?…
  const url = process.env.CRIBL_DIST_MASTER_URL || process.env.CRIBL_DIST_LEADER_URL;
  if (mode !== 'leader' && url) heartbeat(new URL(url).hostname);
  const seconds = Number(process.env.TELEMETRY_SECONDS || 60);
  if (seconds > 0) {
    telemetry();
    setInterval(telemetry, seconds * 1000);
  }
  say('started', {mode});
}
