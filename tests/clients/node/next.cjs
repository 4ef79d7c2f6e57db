// Next.js: JSON with context, meta and the list `events`. Its own version is sent.
const { Telemetry } = require("next/dist/telemetry/storage");
const sent = JSON.parse(process.env.SENT);

const client = new Telemetry({ distDir: process.cwd() });
const events = [0, 1, 2].map((number) => ({
  eventName: `event ${number}`,
  payload: {
    nextVersion: sent.version,
    password: sent.password,
    email: sent.email,
    note: `with ${sent.key}`,
  },
}));
client.record(events);
client.flush();
