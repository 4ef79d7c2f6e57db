# The app: mock, ingest, store, report, API and the command line.
# Built from the root of the repository by `make images`.

FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
       binutils python3 python3-venv python3-pip python3-setuptools
RUN python3 -m venv /opt/venv
COPY requirements/app.txt /src/requirements/
# Downloads are kept between builds; their hashes are checked every time.
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/pip install --cache-dir /var/cache/pip --require-hashes -r /src/requirements/app.txt
COPY pyproject.toml LICENSE /src/
COPY scripts /src/scripts
COPY app /src/app
# setuptools comes from Debian: nothing is fetched that no hash covers.
RUN python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /src/wheels /src \
    && /opt/venv/bin/pip install --no-deps --no-index /src/wheels/*.whl
# Nothing in the image installs, tests, type-checks or debugs, nor uses the Kubernetes client's second,
# asynchronous half. The file system may be read-only, so all byte code is made here; of the client's
# models, 33 MB of generated source, nothing else is kept.
RUN /opt/venv/bin/pip uninstall -y \
       aiohappyeyeballs aiohttp aiohttp-retry aiosignal attrs frozenlist multidict propcache yarl pip \
    && rm -r /opt/venv/lib/python3*/site-packages/kubernetes/aio \
    && find /opt/venv -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} + \
    && find /opt/venv -name '*.so*' -type f -exec strip --strip-unneeded {} + \
    && find /opt/venv \( -name '*.pyi' -o -name 'activate*' -o -name Activate.ps1 \) -delete \
    && /opt/venv/bin/python -m compileall -q -b /opt/venv/lib/python3*/site-packages/kubernetes/client \
    && find /opt/venv/lib/python3*/site-packages/kubernetes/client -name '*.py' -delete \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && rm -r /usr/lib/python3.13/test /usr/lib/python3.13/pydoc_data
RUN groupadd --gid 2930 telemock \
    && useradd --uid 2930 --gid 2930 --home-dir /data --no-create-home --shell /usr/sbin/nologin telemock \
    && install -d -o 2930 -g 2930 -m 0700 /data \
    && install -d -o 2930 -g 2930 -m 0700 /logs
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    TELEMOCK_DATA=/data \
    TELEMOCK_LOGS=/logs
LABEL org.opencontainers.image.title="telemock-app" \
      org.opencontainers.image.description="Answers, stores and reports what a vendor's product sends home." \
      org.opencontainers.image.licenses="MIT"
WORKDIR /data
USER 2930:2930
VOLUME ["/data", "/logs"]
EXPOSE 8000
# http.client knows no proxy variables: a proxy set for the container must not be asked.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
CMD ["telemock", "serve"]
