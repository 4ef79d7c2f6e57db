# ruff: noqa: E501  # a line is a line
"""What looks like a secret and is none: each stays, alone and in a line."""

from tests.at_large.made import made

_HARMLESS = """
<h40> <h7> v1.4.2-3-g<h7> sha256:<h64> sha512-<b86>== sha384-<b64> sha1-<b27>= md5:<h32> <h32> <h64>
<h8>-<h4>-4<h3>-a<h3>-<h12> urn:uuid:<h8>-<h4>-4<h3>-a<h3>-<h12> build-<h8>-<h4>-4<h3>-9<h3>-<h12>
registry.example/app@sha256:<h64> ghcr.io/acme/app:sha-<h7> acme/app:1.2.3-<h40> nginx:1.27.3-alpine
1.2.3-beta.4+build.5 4.16.1-<h8> 20261130.1 go1.23.4 v0.0.0-20261130010203-<h12> 3.12.7 1.0.0-rc.1
2026-11-30T01:02:03.456789Z 2026-11-30T01:02:03+01:00 1764464523 1764464523456 1764464523456789012
20261130T010203Z Mon,30-Nov-2026-01:02:03 P1DT2H3M PT15M 01:02:03.456 W48-2026
app-7d9f8b6c5d-x<l4> ingress-nginx-controller-<l10>-<l5> kube-system/coredns-<h9>-<l5> ip-10-0-1-23
gke-prod-default-pool-<h8>-<l4> pvc-<h8>-<h4>-4<h3>-a<h3>-<h12> node-<h16> cilium-<l5> web-0
default-token-<l5> my-secret-store-7f9d8 secret-sync-controller-5c6d7 sh.helm.release.v1.app.v12
api-key-rotation-job-28394-<l5> password-reset-worker-<h9>-<l5> aws-auth vault-agent-injector
i-<h17> vol-<h17> sg-<h17> subnet-<h17> ami-<h17> vpc-<h8> eni-<h17> rtb-<h17>
arn:aws:lambda:eu-west-1:123456789012:function:app-<h12> projects/acme-prod/zones/europe-west1-b
/subscriptions/<h8>-<h4>-4<h3>-a<h3>-<h12>/resourceGroups/rg1 //storage.example/buckets/acme-<h8>
data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ<b60>
data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciPjwvc3ZnPg==
data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
data:font/woff2;base64,d09GMgABAAAAA<b80> iVBORw0KGgoAAAANSUhEUgAAAAUA<b120> /9j/4AAQSkZJRgABAQAAAQ<b100>
UklGRiQAAABXRUJQVlA4<b60> AAABAAEAEBAAAAEAIABoBAAA<b80> R0lGODlh<b90>
/api/v1/users/{id} /v1/login/password/reset /oauth2/token /api/v2/secrets /keys/rotate /auth/callback
GET_/api/v1/tokens PasswordResetController#create Users::PasswordsController /settings/api-keys
auth.token.refresh token_bucket token-ring TokenExpiredError InvalidPasswordException NoSuchKey
secretmanager.googleapis.com secretsmanager.eu-west-1.amazonaws.com keyvault.example vault.example
password-policy-v2 token-count csrf-protection-enabled pin-it pass-through bypass-cache compass-2
main.<h20>.js vendors~main.<h8>.chunk.js app-<h8>.css chunk-<w8>.js logo-<h8>.svg style.<h32>.css
bundle-<h40>.tar.gz acme_1.2.3_linux_amd64.deb libssl3_3.0.15-1 python3.12-minimal acme-<h64>.whl
cache-v2-<h64> linux-node-20-<h64> key-value-store primary-key-1 sort-key foreign_key_12 hotkey-7
W/"<h32>" "<h16>-<h8>" "5f3-18b2" W/"<b27>=" etag-<h32>
00-<h32>-<h16>-01 <h16> <h32>-<h16>-1 Root=1-<h8>-<h24> <w22> req_<w24> cus_<w14> evt_1<w23> pi_3<w23>
price_1<w23> chatcmpl-<w29> msg_01<w22> toolu_01<w22> file-<w24> call_<w24> run_<w24> thread_<w24>
pk_live_<w99> phc_<w43> pub<h32> G-<U10> UA-12345678-1 AW-123456789 GTM-<U7> ca-pub-<016>
U_kgDO<w6> PR_kwDO<w13> MDQ6VXNlcjEyMzQ1 MDEwOlJlcG9zaXRvcnkxMjM= I_kwDO<w12> R_kgDO<w6>
01HF8ZQ7K2M3N4P5Q6R7S8T9V0 <l25> cl<l23> 9Q4<U23> <w21> 507f1f77bcf86cd799439011 <h24>
123456789012 0x<h8> 0x<h40> +49-30-901820 192.168.1.1:8080 fe80::1%eth0 2001:db8::8a2e:370:7334
10.0.0.0/8 00:1a:2b:3c:4d:5e host.docker.internal:5432 127.0.0.1:61833 [::1]:443
Mozilla/5.0 AppleWebKit/537.36 Chrome/131.0.0.0 okhttp/4.12.0 curl/8.11.0 python-requests/2.32.3
application/vnd.api+json text/html;charset=utf-8 en-US,en;q=0.9 gzip,br,zstd no-cache,max-age=0
urn:oid:1.2.840.113549.1.1.11 TLS_AES_256_GCM_SHA384 ECDHE-RSA-AES128-GCM-SHA256 X25519MLKEM768
org.apache.kafka.clients.producer.KafkaProducer com.fasterxml.jackson.databind.ObjectMapper2
io.kubernetes.client.openapi.models.V1PersistentVolumeClaimTemplateSpec2Builder1
my_module.SomeVeryLongClassNameThatGoesOnAndOnForEver2Times acme-SomeVeryLongPascalCaseNameOfAThing12
test_password_is_required_when_user_signs_up test_token_expires_after_15_minutes_of_inactivity
HELLO-WORLD-AGAIN-THERE-FOLKS 12345-67890-12345-67890 ABCDE-FGHIJ-KLMNO-PQRST AAAAA-BBBBB-CCCCC-DDDDD
$1$2$3 $2.50 ${HOME}/bin $(date) {{ .Values.auth.enabled }} %d/%m/%Y C:\\Users\\x {SHA} v4.local
https://h.example:8443/a/b?page=2&sort=key https://h/x?email=a@b.example http://h:80/p#tok
git@github.example:acme/app.git postgres://db:5432/x redis://cache:6379/0
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA<b100> MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0B<b100>
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI<b43> SHA256:<b43> age1<l58> spki-<b43>= AAAAB3NzaC1yc2EAAAADAQAB<b80>
"""
LINES_HARMLESS = (
    "docker run -p 8080:80 nginx", "docker run -u 1000:1000 -p 127.0.0.1:5432:5432 postgres:17",
    "kubectl port-forward svc/app -p 8080", "unzip -p a.zip x.txt", "redis-cli -p 6380 ping",
    "ldapsearch -x -p 389 -a never -b dc=x", "mkdir -p /var/lib/acme", "ssh -p 2222 host",
    "nmap -p 443 host", "http GET h.example -v", "az vm create -n vm1", "cp -a src dst",
    "the default password must be changed", "user bob password expired", "please set password policy",
    "set token count to 5", "first-pass result: 3", "a single-pass compiler", "bypass -x",
    "failed to get secret default/my-app-tls2: not found", "Secret my-app-tls-2026 created",
    "the access token has expired", "password is too short", "invalid token at line 3",
    "unexpected token } in JSON at position 12", "API key not found", "no session key for host",
    "identified by its digest", "this secret is not mounted", "CSRF verification failed",
    "pin the version", "cookie banner shown", "passwords do not match", "client key is missing",
    "arg parsing took 3 ms", "env production", "configure --prefix=/usr", "login to continue",
    "recovered from a panic", "see https://h.example:8080/docs/a@2x.png", "SELECT token FROM t",
    "INSERT INTO tokens (id) VALUES (1)", "cache key: miss", "sort key = name",
    "ALTER TABLE users DROP COLUMN password", "machine h is up", "mongod started on port 27017",
)  # fmt: skip


def harmless() -> list[str]:
    return [made(one) for one in (*_HARMLESS.split(), *LINES_HARMLESS)]
