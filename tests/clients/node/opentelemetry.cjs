// OpenTelemetry: OTLP as JSON over HTTP.
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-http");
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const sent = JSON.parse(process.env.SENT);

const exporter = new OTLPLogExporter({
  url: "https://otlp.acme.test/v1/logs",
  headers: { "api-key": sent.own_key },
});
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ "service.name": "acme", "service.version": sent.version }),
  processors: [new BatchLogRecordProcessor({ exporter })],
});
for (let number = 0; number < 3; number++) {
  provider.getLogger("acme").emit({
    body: `event ${number} with ${sent.key}`,
    attributes: { password: sent.password, email: sent.email },
  });
}
provider.shutdown();
