// Snowplow: `tp2`, with contexts as URL-safe base64 in JSON.
const { buildStructEvent, newTracker } = require("@snowplow/node-tracker");
const sent = JSON.parse(process.env.SENT);

const tracker = newTracker(
  { namespace: "acme", appId: "acme", encodeBase64: true },
  {
    endpoint: "https://collector.acme.test",
    bufferSize: 3,
    onRequestFailure: () => process.exit(1),
  },
);
tracker.setUserId(sent.email);
const data = { version: sent.version, password: sent.password, note: `with ${sent.key}` };
for (let number = 0; number < 3; number++) {
  tracker.track(buildStructEvent({ category: "acme", action: `event ${number}` }), [
    { schema: "iglu:test/acme/jsonschema/1-0-0", data },
  ]);
}
