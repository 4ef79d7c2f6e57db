"""Every header, port, file name and label that two places must agree on, declared once. Metrics
have a table of their own.

Read by the app, the sidecar, the CLI and the tests that hold the documentation against the code.
"""

WEB_PORTS = {"http": 80, "https": 443}
REDIRECTED_PORTS = tuple(WEB_PORTS.values())
PORT_APP = 8000
PORT_APP_TLS = 8443
PORT_INJECTOR = 9443
PORT_PROXY = 17443
PORT_SIDECAR_HEALTH = 17490
# The whole content of the redirect's own connection, by which the sidecar recognises it.
REDIRECT_PROOF = b"telemock: this connection proves the redirect\r\n"
PORT_EXPLICIT_PROXY = 8080

# To the mock only; a forwarded request carries none of these.
HEADER_RECORD = "telemock-record"  # id of the sidecar's record: the mock does not record it again
HEADER_RULE = "telemock-rule"  # profile/rule that the sidecar decided on
HEADER_SCHEME = "telemock-scheme"  # scheme, as the client used it
HEADER_CUT = "telemock-body-size"  # full size of a body that is sent truncated
HEADER_ERROR = "telemock-error"  # marks an answer as the mock's own failure, not a rule's
HEADERS_INTERNAL = (HEADER_RECORD, HEADER_RULE, HEADER_SCHEME, HEADER_CUT)

# Marks a request's ASGI scope: its answer has no end, and a shutdown does not wait for it.
SCOPE_STREAM = "telemock.stream"

# From the sidecar to the API, with its token.
HEADER_SIDECAR = "telemock-sidecar"  # id of one start of a sidecar
HEADER_LEAVING = "telemock-leaving"  # the sidecar stops, and must not be reported as silent
HEADER_PRESENCE = "telemock-presence"  # mode, redirect and start: contract.presence
HEADER_ACCOUNTS = "telemock-accounts"  # how many records it numbered and lost: contract.account
HEADER_AGAIN = "telemock-again"  # in answers: seconds until the next request for profiles
# Seconds for which a sidecar reuses an idle connection to the API; the app keeps it for longer.
# Well over a minute, the period of telemetry and, in a large fleet, of the requests for profiles.
API_KEPT_S = 120

# From a login proxy in front of the page, beside the header that names the person.
HEADER_LOGIN_SECRET = "telemock-login-secret"  # noqa: S105 - the name of a header

# RBAC's names for reading and sending in a cluster, and the audience of a sidecar's token.
API_GROUP = "telemock.io"
RESOURCE_CAPTURES = "captures"
AUDIENCE = "telemock"

CONTENT_TYPE_RECORDS = "application/x-ndjson"  # one CaptureRecord a line

PATH_CAPTURES = "/api/v1/captures"
PATH_PROFILES = "/api/v1/profiles"
PATH_CHANGES = "/api/v1/changes"

SPOOL_SIZE = "64MiB"  # the default; the pod's volume for it is larger

FILE_TOKEN = "token"  # noqa: S105 - the name of the file, below TELEMOCK_DATA
FILE_STORE = "store.sqlite"
FILE_MASK_KEY = "mask.key"
FILE_LAST_GOOD = "profiles.json"  # in a cluster, see app.profiles.last_good
FILE_PROFILES_USED = "profiles-used.json"  # see app.profiles.used
FILE_SERVER = "server.json"  # the running app's address: {"url", "pid"}
DIR_CA = "ca"
FILE_CA_CERT = "ca.pem"  # public half, for the client
FILE_JAVA = "truststore.p12"  # the same for Java, made by `telemock run`
FILE_BUNDLE = "bundle.pem"  # the system's trust store and our authority
DIR_SPOOL = "spool"
DIR_PROFILES = "profiles"  # those that were added
DIR_LOGS = "logs"  # below TELEMOCK_DATA, unless TELEMOCK_LOGS names another
# Everything that telemock puts into TELEMOCK_DATA and TELEMOCK_LOGS, as patterns: a directory with
# other things in it is not ours to close.
IN_DATA = (
    f"{FILE_STORE}*", FILE_TOKEN, FILE_MASK_KEY, "*.json", DIR_CA, DIR_SPOOL, DIR_LOGS,
    DIR_PROFILES, "demo-*", "prometheus*", "hosts-*", ".gitignore",
)  # fmt: skip

LOG_REQUESTS = "telemetry_requests.log"
LOG_APP = "mock_server.log"
LOG_SIDECARS = "mitmproxy.log"
LOG_FILES = (LOG_REQUESTS, LOG_APP, LOG_SIDECARS)
DIR_ANALYSIS = "analysis"
FILE_SUMMARY = "summary.json"
FILE_REPORT = "final-report.md"
IN_LOGS = (*(f"{name}*" for name in LOG_FILES), "*.console.log", DIR_ANALYSIS)

LOOPBACK_IPV4 = "127.0.0.2"  # the sidecar's address for the first telemetry host; others follow
LOOPBACK_IPV6 = "::1"  # for all hosts: the result of an IPv6 look-up
LOOPBACK_MAPPED = "127.0.0.1"  # glibc turns ::1 into it for an IPv4 look-up

# The names on a pod, and of the parts injected into it.
LABEL_INJECT = "telemock.io/inject"
INJECT_ENABLED, INJECT_DISABLED = "enabled", "disabled"
LABEL_INJECTED = "telemock.io/injected"  # ours, "true": selects pods with a sidecar
PORT_NAME_SIDECAR = "telemock"  # of PORT_SIDECAR_HEALTH in the pod, for scrapers
ANNOTATION_PROFILES = "telemock.io/profiles"
ANNOTATION_MODE = "telemock.io/mode"
ANNOTATION_REDIRECT = "telemock.io/redirect"
ANNOTATION_TRUST = "telemock.io/trust"
ANNOTATION_ALL_UNTIL = "telemock.io/all-until"
ANNOTATION_RESOURCES = "telemock.io/resources"
ANNOTATION_OWN_CA = "telemock.io/own-ca"
ANNOTATION_REHEARSE, ANNOTATION_CANARY = "telemock.io/rehearse", "telemock.io/canary"
ANNOTATION_STATUS = "telemock.io/status"  # ours: JSON
OUR_ANNOTATIONS = (
    ANNOTATION_PROFILES, ANNOTATION_MODE, ANNOTATION_REDIRECT, ANNOTATION_TRUST,
    ANNOTATION_ALL_UNTIL, ANNOTATION_RESOURCES, ANNOTATION_OWN_CA, ANNOTATION_REHEARSE,
    ANNOTATION_CANARY, ANNOTATION_STATUS,
)  # fmt: skip
CONTAINER_SIDECAR = "telemock"
CONTAINER_REDIRECT = "telemock-redirect"
CONTAINER_OWN_CA = "telemock-own-ca"
OUR_CONTAINERS = (CONTAINER_SIDECAR, CONTAINER_REDIRECT, CONTAINER_OWN_CA)
VOLUME_CA = "telemock-ca"  # the authority with its key, for the sidecar only
VOLUME_TRUST = "telemock-trust"  # its public half
VOLUME_SPOOL = "telemock-spool"
VOLUME_TOKEN = "telemock-token"  # noqa: S105 - the name of a volume
VOLUME_NOTHING = "telemock-nothing"  # empty: covers paths that our containers must not see
SIDECAR_UID = 2931
MOUNT_CA = "/run/telemock/ca"
MOUNT_TRUST = "/etc/telemock/trust"
MOUNT_SPOOL = "/var/lib/telemock"
MOUNT_TOKEN = "/var/run/secrets/telemock"  # noqa: S105 - a directory
MOUNT_API_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a directory
EVENT_INJECTED, EVENT_SKIPPED = "TelemockInjected", "TelemockSkipped"
