# Two commands: `make demo` shows airf5 at work, `make test` proves it. `make` alone lists all of them.

SHELL = /bin/sh
PY = .venv/bin/python
PINS = requirements.txt requirements-dev.txt
PURE = ingest/records.py ingest/device_records.py ingest/device_findings.py ingest/f5config ingest/capture.py ingest/completeness/intervals.py ingest/completeness/skew.py ingest/completeness/usual.py ingest/incidents/alike.py ingest/incidents/explained.py ingest/incidents/groups.py ingest/incidents/onset.py ingest/parsers ingest/rules ingest/watch/chance.py ingest/watch/learn.py ingest/watch/limits.py ingest/watch/series.py ingest/watch/usual.py dashboards/filters.py dashboards/bounds.py dashboards/charts.py \
       dashboards/timeline.py airf5/env.py airf5/sql.py airf5/embedded

.DEFAULT_GOAL := help
.PHONY: help setup demo test long fast lint bench faults chaos fuzz vendor requirements browser rsyslog clean

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

setup:  ## make .venv from the pinned requirements (PYTHON=... chooses the interpreter)
	@PYTHON='$(PYTHON)' sh tools/setup.sh $(PINS)

demo:  ## start everything on recorded data and show the page
	@PYTHON='$(PYTHON)' sh tools/setup.sh requirements.txt
	@$(PY) manage.py demo

test: setup browser rsyslog  ## run the tests: unit, database, web
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

long: setup browser rsyslog  ## run the tests that take long: the whole product live, benches, embedded services, big tables
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m long $(ARGS)

fast: setup  ## run the unit tests only
	$(PY) -m pytest tests/unit tests/test_layers.py tests/test_documented.py $(ARGS)

lint: setup  ## ruff, mypy on the pure modules, no missing migration
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy $(wildcard $(PURE))
	$(PY) manage.py makemigrations --check --dry-run

bench: setup  ## measure ingestion, joins and pages
	$(PY) bench/run.py $(ARGS)

faults: setup  ## known faults through the product, scored (ARGS='--split validation --size full', SEED=...)
	$(PY) -m bench.faults.run $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos: setup  ## kill, stop and starve everything while lines come (ARGS=--long, ARGS=--planted; SEED=...)
	$(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: setup  ## a million changed lines through every parser (SEED=..., INPUTS=..., GUIDED=yes by coverage)
	$(if $(GUIDED),$(PY) -m tests.fuzz.guided .fuzz-corpus -runs=$(or $(INPUTS),1000000) $(if $(SEED),-seed=$(SEED)),\
	$(PY) -m tests.fuzz.run --inputs $(or $(INPUTS),1000000) $(if $(SEED),--seed $(SEED)))

vendor:  ## fetch the vendored JavaScript again and check its hashes
	sh static/vendor/vendor.sh

requirements:  ## pin requirements*.in again, with hashes
	sh tools/pin.sh

browser:  ## install Chromium for the browser tests, where that is possible
	@sh tools/browser.sh

rsyslog:  ## install rsyslogd for the tests of its configuration, where that is possible
	@sh tools/rsyslog.sh

clean:  ## remove .venv, caches and collected static files; the data in .airf5 stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
