// Amplitude: JSON with the list `events`; the key is in the body.
const { createInstance } = require("@amplitude/analytics-node");
const sent = JSON.parse(process.env.SENT);

async function run() {
  const client = createInstance();
  await client.init(sent.own_key).promise;
  const about = {
    user_id: "someone",
    app_version: sent.version,
    user_properties: { email: sent.email },
  };
  const answers = [0, 1, 2].map((number) =>
    client.track(
      `event ${number}`,
      { password: sent.password, note: `with ${sent.key}` },
      about,
    ).promise,
  );
  client.flush();
  const told = await Promise.all(answers);
  process.exit(told.every(({ code }) => code === 200) ? 0 : 1);
}
run();
