# Every target sets up what it needs; `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format clean

# What the tests and the demo compare layerkit with, or build images with.
DEBIAN_PACKAGES := acl attr binutils binutils-aarch64-linux-gnu buildah busybox-static chromium \
	docker-registry docker.io e2fsprogs iproute2 iptables libcap2-bin libseccomp2 mmdebstrap mount openssl \
	passt podman skopeo uidmap umoci
PYTHON := .venv/bin/python
# make test ARGS="--long -k registry" hands these to pytest, make demo ARGS="--cast FILE" to the demo.
ARGS :=

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## the virtual environment in .venv and, as root, the Debian packages the tests use
	@scripts/debian-packages $(DEBIAN_PACKAGES)

demo: setup ## pull, run, change, compare, serve web pages: each command shown with its output
	@$(PYTHON) scripts/demo.py $(ARGS)

test: setup lint ## linters, types and all tests
	@scripts/run-tests $(ARGS)

lint: .venv/ready ## linters and types only
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

format: .venv/ready ## the code as the formatter writes it
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

clean: ## the checkout without what the targets above made
	rm -rf .venv .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml scripts/setup-python
	@scripts/setup-python
