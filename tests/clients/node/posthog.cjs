// PostHog: a batch; the key is in the body.
const { PostHog } = require("posthog-node");
const sent = JSON.parse(process.env.SENT);

const client = new PostHog(sent.own_key);
client.on("error", () => process.exit(1));
for (let number = 0; number < 3; number++) {
  client.capture({
    distinctId: "someone",
    event: `event ${number}`,
    properties: {
      app_version: sent.version,
      password: sent.password,
      email: sent.email,
      note: `with ${sent.key}`,
    },
  });
}
client.shutdown();
