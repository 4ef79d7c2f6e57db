// Segment: a batch; the key is in the credentials and the body.
const { Analytics } = require("@segment/analytics-node");
const sent = JSON.parse(process.env.SENT);

const client = new Analytics({ writeKey: sent.own_key });
client.on("error", () => process.exit(1));
for (let number = 0; number < 3; number++) {
  client.track({
    userId: "someone",
    event: `event ${number}`,
    properties: { password: sent.password, note: `with ${sent.key}` },
    context: {
      app: { name: "acme", version: sent.version },
      traits: { email: sent.email },
    },
  });
}
client.closeAndFlush();
