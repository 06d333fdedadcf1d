# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything lives in .venv/ and .nox/ of this checkout; `make clean` takes it away.

NOX := .venv/bin/python -m nox
export XDG_CACHE_HOME := $(CURDIR)/.nox/cache

.DEFAULT_GOAL := help
.PHONY: help demo test guides slow matrix devel pythons style lint package sanity pages docs build release publish bench fuzz mutants clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

demo: .venv/ready ## see it work, against a stand-in service; LIVE=1 lists your account instead
	@test -d .nox/demo || echo 'Setting up a virtual environment in .nox/demo, this once ...'
	@mkdir -p .nox && $(NOX) --sessions demo --install-only > .nox/demo.log 2>&1 || { cat .nox/demo.log; exit 1; }
	@.nox/demo/bin/python -B -m tests.demo $(if $(filter-out 0 no false,$(LIVE)),--live)

test: .venv/ready ## run the tests on the newest and the oldest ansible-core that the Pythons here allow; ARGS="-k names" or ARGS=path/to/test_file.py
	@$(NOX) --tags test -- $(ARGS)

guides: .venv/ready ## follow all pages and playbooks through a gateway to real SSH servers, on the newest ansible-core
	@$(NOX) --tags newest -- tests/docs tests/e2e $(ARGS)

slow: .venv/ready ## run the models, the soak tests and the official CLI, then `make mutants`; only tests with NEWEST=1 (newest ansible-core) or ARGS
	@$(NOX) --tags $(if $(NEWEST),newest,test) -- -m slow $(ARGS)
	@$(if $(NEWEST)$(ARGS),,$(NOX) --sessions mutants)

matrix: .venv/ready ## run unit and integration tests on each supported ansible-core, with its oldest and newest Python
	@$(NOX) --tags $(if $(REST),rest,matrix) -- $(ARGS)

devel: .venv/ready ## run unit, integration and sanity tests on the development branch of ansible-core
	@$(NOX) --tags devel -- $(ARGS)

pythons: .venv/ready ## show which of the supported Pythons this machine has, and which it lacks
	@$(NOX) --sessions pythons

style: .venv/ready ## run the checks of how the files are written, which take seconds
	@$(NOX) --sessions style

lint: .venv/ready ## run all static checks
	@$(NOX) --tags lint

package: .venv/ready ## build the collection, then import, install, upgrade and use it in each supported way
	@$(NOX) --tags package -- $(ARGS)

sanity: .venv/ready ## run ansible-test on the newest and the oldest ansible-core that the Pythons here allow
	@$(NOX) --tags $(if $(REST),sanity-rest,sanity)

pages: .venv/ready ## write what pages have from the code, and the outputs of their commands; ARGS="-k names"
	@$(NOX) --sessions pages -- $(ARGS)

docs: .venv/ready ## build the documentation as a site into .nox/site
	@$(NOX) --sessions docs

build: .venv/ready ## build the collection; two builds of one commit are the same, byte for byte
	@$(NOX) --sessions build

release: .venv/ready ## check that TAG=2.0.0 may be released, build the collection, and write its bill of materials
	@$(NOX) --sessions release -- $(TAG)

publish: .venv/ready ## try what publishes the built collection; DRY_RUN=0 publishes it, with the token in GALAXY_TOKEN
	@$(NOX) --sessions publish -- $(if $(filter 0 no false,$(DRY_RUN)),,--dry-run)

bench: .venv/ready ## measure how long inventories take, also others, into .nox/benchmarks; ARGS=--quick, ARGS=--profile
	@$(NOX) --tags bench -- $(ARGS)

fuzz: .venv/ready ## make up answers of the service for five minutes, and keep what the plugin cannot take; ARGS="--seconds 3600"
	@$(NOX) --sessions fuzz -- $(ARGS)

mutants: .venv/ready ## put one small error after the other into each helper, and count those that its unit tests find; ARGS="_names _hosts"
	@$(NOX) --sessions mutants -- $(ARGS)

clean: ## remove what the other targets have made
	rm -rf .venv .nox .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/ready: tests/tools/bootstrap.sh tests/requirements/nox.txt
	@sh tests/tools/bootstrap.sh
	@touch $@
