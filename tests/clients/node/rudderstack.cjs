// RudderStack: as Segment, gzipped, to the data plane of the customer.
const Analytics = require("@rudderstack/rudder-sdk-node");
const sent = JSON.parse(process.env.SENT);

const client = new Analytics(sent.own_key, { dataPlaneUrl: "https://acme.dataplane.rudderstack.com" });
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
client.flush((error) => process.exit(error ? 1 : 0));
