# make demo   a workspace of example agents, running, in one command (RUNTIME=podman|docker for an engine)
# make stop   stop what the demo started
# make test   everything that must hold: formatting, types, tests
SHELL := /bin/sh
RUNTIME ?= sandbox
export RUNTIME
# Last, so that what the system has comes first: Node for agents, where the system has none.
export PATH := $(PATH):$(CURDIR)/.venv/bin

.PHONY: demo stop test check bench docs launcher web pictures wheel pins clean

demo:
	@sh tools/environment.sh demo
	@.venv/bin/python tools/demo.py start --runtime $(RUNTIME)

stop:
	@.venv/bin/python tools/demo.py stop

test: check
	@.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST)

check:
	@sh tools/environment.sh test
	@echo '[check] ruff format, ruff, mypy'
	@.venv/bin/ruff format --quiet --check .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy

bench:
	@sh tools/environment.sh test
	@.venv/bin/python -m bench $(BENCH)

docs:
	@sh tools/environment.sh test
	@.venv/bin/python tools/cli_reference.py
	@.venv/bin/python tools/rpc_reference.py

launcher:
	@.venv/bin/python launcher/build.py

web:
	@.venv/bin/python web/build_web.py

pictures:
	@.venv/bin/python tools/pictures.py

wheel:
	@sh tools/environment.sh test
	@.venv/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist

pins:
	@sh tools/pin.sh

clean:
	@if [ -d demo ]; then $(MAKE) --no-print-directory stop; fi
	rm -rf demo .venv build dist src/ploinky/channel/dist src/ploinky/gateway/static web/node_modules
