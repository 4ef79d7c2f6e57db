// Sentry: envelopes; the key is in the query and the envelope.
const sentry = require("@sentry/node");
const sent = JSON.parse(process.env.SENT);

sentry.init({
  dsn: `https://${sent.own_key}@o1.ingest.sentry.io/1`,
  release: `acme@${sent.version}`,
});
sentry.setUser({ id: "someone", email: sent.email });
sentry.setContext("login", { password: sent.password });
for (let number = 0; number < 3; number++) {
  sentry.captureMessage(`event ${number} with ${sent.key}`);
}
sentry.close(5000).then((flushed) => process.exit(flushed ? 0 : 1));
