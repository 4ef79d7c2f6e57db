"""app/run/java.py: a trust store that a JVM reads, with the user's own certificates in it."""

import shutil
import subprocess
from pathlib import Path

import pytest
import trustme

from app import trust
from app.contract import names
from app.run import java


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    folder = tmp_path / "c a"
    folder.mkdir()
    pem = b"".join(trustme.CA(organization_name=name).cert_pem.bytes() for name in ("one", "ours"))
    odd = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (folder / names.FILE_BUNDLE).write_bytes(b"# comment\n" + pem + odd)
    return folder


def listed(store: Path | str) -> list[str]:
    if shutil.which("keytool") is None:
        pytest.skip("keytool is not installed")
    command = ["keytool", "-list", "-v", "-keystore", str(store), "-storepass", "changeit"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sorted(line for line in done.stdout.splitlines() if line.startswith("Owner:"))


def test_java_reads_all_of_the_systems_list_and_ours(ca):
    found, told = java.options({}, ca)
    store = ca / names.FILE_JAVA
    assert told == []
    assert found == {
        trust.JAVA: f'"-Djavax.net.ssl.trustStore={store}" '
        "-Djavax.net.ssl.trustStorePassword=changeit -Djavax.net.ssl.trustStoreType=PKCS12"
    }
    assert len(listed(store)) == 2


def test_the_users_options_stay_and_their_store_is_in_ours(ca, tmp_path):
    theirs = tmp_path / "theirs.jks"
    pem = tmp_path / "theirs.pem"
    trustme.CA(organization_name="theirs").cert_pem.write_to_path(str(pem))
    if shutil.which("keytool") is None:
        pytest.skip("keytool is not installed")
    made = ["keytool", "-importcert", "-noprompt", "-alias", "a", "-file", str(pem)]
    subprocess.run([*made, "-keystore", str(theirs), "-storetype", "JKS", "-storepass", "secret"],
                   check=True, capture_output=True)  # fmt: skip
    given = f"-Xmx64m -Djavax.net.ssl.trustStore={theirs} -Djavax.net.ssl.trustStorePassword=secret"
    found, (line,) = java.options({trust.JAVA: given}, ca)
    assert found[trust.JAVA].startswith(f"{given} ")
    assert str(theirs) in line and "a copy with ours added" in line and "secret" not in line
    owners = listed(ca / names.FILE_JAVA)
    assert len(owners) == 3 and any("theirs" in owner for owner in owners)


def test_a_store_that_cannot_be_read_is_told(ca):
    given = "-Djavax.net.ssl.trustStore=/nowhere.jks"
    _, (line,) = java.options({trust.JAVA: given}, ca)
    assert "/nowhere.jks" in line and "keytool does not read it" in line


@pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")
def test_a_jvm_starts_with_it(ca):
    found, _ = java.options({}, ca)
    done = subprocess.run(["java", "-version"], env={"PATH": "/usr/bin:/bin"} | found,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
