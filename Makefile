# Thin wrappers; `python3 -m infra run|test|check` is the same without make.
PYTHON ?= python3
UV ?= uv
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--generate-hashes --custom-compile-command "make lock"

.PHONY: run test check chaos bench-edge bench-farm bench-money gpu-check load docs lock

run:
	@$(PYTHON) -m infra run

test:
	@$(PYTHON) -m infra test

check:
	@$(PYTHON) -m infra check

# The long form of tests: parts are killed, caps and tokens attacked, more odd films watched, many times.
chaos:
	@$(PYTHON) -m infra chaos

# The edge beside nginx: CPU per request; needs Debian's nginx and wrk. Rewrites its part of docs/benchmarks.md.
bench-edge:
	@$(PYTHON) -m infra bench edge

# The farm beside plain ffmpeg: CPU, bytes, VMAF, kills. MASTER=file cuts its films from a real one.
bench-farm:
	@$(PYTHON) -m infra bench farm

# Money with everything on disk: movements a second, the audit, rights, checkout. Rewrites its part of the page.
bench-money:
	@$(PYTHON) -m infra bench money

# What driver, cards and ffmpeg of this machine do for the farm, and which encoder class it would take.
gpu-check:
	@$(PYTHON) -m infra gpu-check

# 300 players for two minutes against an edge of its own.
load:
	@$(PYTHON) -m infra load

# docs/map.md and docs/reference/ from the code.
docs:
	@$(PYTHON) -m infra docs

# The test lock is held to the run lock's very pins; the infra tools are apart from both.
lock:
	$(COMPILE) pyproject.toml --extra embedded -o requirements.lock
	$(COMPILE) pyproject.toml --extra embedded --extra test -c requirements.lock -o infra/requirements-test.lock
	$(COMPILE) infra/requirements-infra.in -o infra/requirements-infra.lock
