# The sidecar: mitmproxy with our addon, and of the app only what both share.
# Built from the root of the repository by `make images`.

FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
       binutils python3 python3-venv python3-pip python3-setuptools
RUN python3 -m venv /opt/venv
COPY requirements/sidecar.txt /src/requirements/
# Downloads are kept between builds; their hashes are checked every time.
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/pip install --cache-dir /var/cache/pip --require-hashes -r /src/requirements/sidecar.txt
COPY pyproject.toml LICENSE /src/
COPY scripts /src/scripts
COPY app/__init__.py app/version.py /src/app/
COPY app/contract /src/app/contract
COPY app/otel /src/app/otel
COPY addon /src/addon
# setuptools comes from Debian: nothing is fetched that no hash covers.
RUN python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /src/wheels /src \
    && /opt/venv/bin/pip install --no-deps --no-index /src/wheels/*.whl \
    && rm /opt/venv/bin/telemock
# Left out: mitmproxy's user interfaces, and what addon/mitm/imports.py leaves out.
RUN /opt/venv/bin/pip uninstall -y \
       aioquic argon2-cffi argon2-cffi-bindings asgiref attrs blinker charset-normalizer click flask \
       itsdangerous jinja2 ldap3 markupsafe publicsuffix2 pyasn1 pylsqpack pyperclip service-identity sortedcontainers \
       tornado urwid wcwidth werkzeug \
    && rm -r /opt/venv/lib/python3*/site-packages/mitmproxy/tools /opt/venv/bin/mitm*
# Nothing in the image installs, tests, type-checks or debugs. mitmproxy checks the type of every
# message by assert: without asserts it is a fifth faster, but only with byte code made beforehand.
# Documentation strings cost each sidecar 1.5 MiB.
RUN /opt/venv/bin/pip uninstall -y pip \
    && find /opt/venv -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} + \
    && find /opt/venv -name '*.so*' -type f -exec strip --strip-unneeded {} + \
    && find /opt/venv \( -name '*.pyi' -o -name 'activate*' -o -name Activate.ps1 \) -delete \
    && /opt/venv/bin/python -OO -m compileall -q /opt/venv/lib

FROM debian:trixie-slim
# nft and ip: the image also serves the init container that makes the redirect (addon.redirect).
# Debian makes the standard library's byte code of the other kind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 nftables iproute2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && rm -r /usr/lib/python3.13/test /usr/lib/python3.13/pydoc_data \
    && find /usr/lib/python3* -name __pycache__ -prune -exec rm -r {} + \
    && python3 -OO -m compileall -q /usr/lib/python3.13
RUN groupadd --gid 2931 telemock \
    && useradd --uid 2931 --gid 2931 --home-dir /data --no-create-home --shell /usr/sbin/nologin telemock \
    && install -d -o 2931 -g 2931 -m 0700 /data
COPY --from=build /opt/venv /opt/venv
# One arena for all threads: they take turns anyway, and it is 3 MB less after much traffic.
ENV PATH=/opt/venv/bin:$PATH \
    MALLOC_ARENA_MAX=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONOPTIMIZE=2 \
    TELEMOCK_DATA=/data
LABEL org.opencontainers.image.title="telemock-sidecar" \
      org.opencontainers.image.description="Intercepts and records the telemetry of the container beside it." \
      org.opencontainers.image.licenses="MIT"
WORKDIR /data
USER 2931:2931
VOLUME ["/data"]
# http.client knows no proxy variables: the proxy that is checked must not be asked.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('TELEMOCK_HEALTH_PORT') or 17490), timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
# Keeps `python -m addon` running: a process that dies takes nobody's readiness along.
CMD ["python", "-m", "addon.supervisor"]
