# Everything lives in this folder: the environment in .venv, no cache elsewhere, nothing left running.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check --no-cache-dir
# A tool of its own pinned version, in an environment that is gone afterwards.
RUN_TOOL := $(BIN)/uv tool run --quiet --no-cache
# In a network of its own; who is not root is so in there.
UNSHARE := unshare $(if $(filter 0,$(shell id -u)),,--user --map-root-user) --net
# Every process would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test thorough check lock clean faults storm recovery isolation memory scaling growth reference picture \
	deploy-test browser-test chromium hosts-test ops-test release audit

demo: $(VENV)/run.stamp  ## a day's orders through a simulated Komet and Axerrio, with faults
	$(BIN)/axkomet demo

test: $(VENV)/develop.stamp check  ## all checks, and a test of each promise
	$(BIN)/pytest -n 3 --dist worksteal -m "not thorough"

thorough: $(VENV)/develop.stamp check  ## all checks and all tests, in two to three times the time
	$(BIN)/pytest -n 3 --dist worksteal --hypothesis-profile=thorough

deploy-test: $(VENV)/deploy.stamp  ## what Docker Compose, hadolint and Caddy say of how it is deployed
	AXKOMET_TEST_DEPLOY=1 $(BIN)/pytest tests/deploy

# Where its picture of Flower goes; with PICTURE=docs/flower.png it becomes the README's.
PICTURE = $(VENV)/flower.png
browser-test: chromium $(VENV)/deploy.stamp  ## Flower in Chromium, at the end of a demo
	AXKOMET_TEST_BROWSER=$(PICTURE) $(BIN)/pytest tests/deploy/test_browser.py

chromium:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
		echo "make browser-test needs Chromium and its driver: apt-get install chromium chromium-driver" >&2; exit 1; }

check: $(VENV)/develop.stamp  ## lint, format, types, import directions, lock
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@! grep -nE 'https?://|file:|--(extra-)?index|--find-links' requirements.lock requirements-develop.lock requirements-deploy.lock

faults storm recovery isolation memory scaling growth: $(VENV)/develop.stamp  ## measure, and write that section of docs/
	$(BIN)/python -m benchmarks.$@

reference: $(VENV)/develop.stamp  ## write what docs/reference says of the code
	$(BIN)/python -m worker.reference

picture: $(VENV)/develop.stamp  ## play the demo, and keep its last screen as docs/demo.svg
	$(BIN)/python -m benchmarks.picture

ops-test: $(VENV)/develop.stamp  ## dashboard, alerts and metrics with a real Prometheus; two minutes
	@command -v promtool >/dev/null || { echo "ops-test needs prometheus and promtool: install Debian's prometheus." >&2; exit 1; }
	AXKOMET_TEST_OPS=1 $(BIN)/pytest tests/ops

hosts-test: $(VENV)/develop.stamp  ## worker and services on hosts of their own, cut off from each other; five minutes
	@command -v ip >/dev/null || { echo "hosts-test needs the command ip: install Debian's iproute2." >&2; exit 1; }
	@$(UNSHARE) true || { echo "hosts-test needs network namespaces, and may make none here." >&2; exit 1; }
	AXKOMET_TEST_HOSTS=1 $(UNSHARE) $(BIN)/pytest -rP tests/hosts

release: $(VENV)/develop.stamp  ## wheel, lock and bill of materials into dist/; the wheel proved in an empty environment
	rm -rf dist
	$(BIN)/hatchling build -t wheel -d dist
	cp requirements.lock dist/
	PYTHONWARNINGS=ignore $(RUN_TOOL) --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.lock \
		--pyproject pyproject.toml --mc-type application --output-reproducible -o dist/sbom.cdx.json
	AXKOMET_TEST_RELEASE=1 $(BIN)/pytest tests/release

audit: $(VENV)/develop.stamp  ## the lock against the advisories that the package index knows
	@$(RUN_TOOL) pip-audit==2.10.1 --strict --disable-pip --require-hashes -r requirements.lock --progress-spinner off \
		|| { echo "The lock is not known to be clean: above stands an advisory, or why none could be asked for." >&2; exit 1; }

lock: $(VENV)/develop.stamp  ## resolve the newest versions anew; commits hold hashes and no address
	$(BIN)/uv pip compile --quiet --no-cache --universal --generate-hashes --no-header --no-emit-index-url \
		--python-version 3.11 --extra build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --no-cache --universal --generate-hashes --no-header --no-emit-index-url \
		--python-version 3.11 --extra build --extra develop -c requirements.lock pyproject.toml -o requirements-develop.lock
	$(BIN)/uv pip compile --quiet --no-cache --universal --generate-hashes --no-header --no-emit-index-url \
		--python-version 3.11 --group deploy -c requirements-develop.lock -o requirements-deploy.lock

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp requirements.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/develop.stamp: $(VENV)/run.stamp requirements-develop.lock
	$(PIP) install --require-hashes -r requirements-develop.lock
	@touch $@

$(VENV)/deploy.stamp: $(VENV)/develop.stamp requirements-deploy.lock
	$(PIP) install --require-hashes -r requirements-deploy.lock
	@touch $@

clean:
	rm -rf $(VENV) .axkomet dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
