# Everything there is to do with this checkout. `make` alone prints it.
#
#   make up PORT=8001        on that port, or not at all
#   make test FULL=1         with the tests that take minutes; ARGS="-k name" goes to pytest
#   make bench NAME=x        [DATA=folder] [FULL=1] [RANDOM_WEIGHTS=1]

SHELL := /bin/sh
BIN := .venv/bin
PYTHON ?=
export FULL

# The machine's Python only makes .venv; an existing .venv is used by whatever calls it.
find_python = for candidate in $(PYTHON) python3.11 python3.12 python3 python; do \
	if $$candidate -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
		>/dev/null 2>&1; then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo 'Sluice needs Python 3.11 or 3.12, and found neither: install one, or name it (make up PYTHON=/path/to/python3.11).' >&2; \
		exit 1; fi
install = @$(find_python); $$python -m deploy.local.install

# Settings have no defaults for secrets and addresses; tools that only read the code get these.
static = SLUICE_SECRET_KEY=static DATABASE_URL=postgresql://none@127.0.0.1/none REDIS_URL=redis://127.0.0.1/0 \
	DJANGO_SETTINGS_MODULE=portal.settings_test

.DEFAULT_GOAL := help
.PHONY: help up dev test pictures check bench fix lock

help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Install what is missing and run all of Sluice on this machine, until Ctrl-C
	$(install) run
	@exec $(BIN)/python -m deploy.local.up

dev: ## The same with debug pages, restarting when code changes
	$(install) run dev
	@exec $(BIN)/python -m deploy.local.up --dev

test: ## Run every test, with a Postgres and a Redis of their own [FULL=1] [ARGS=...]
	$(install) run dev browser
	@exec $(BIN)/python -m pytest $(ARGS)

pictures: ## Take the pictures of docs/images anew, from the browser test
	$(install) run dev browser
	@mkdir -p var/screenshots
	SLUICE_SCREENSHOTS=var/screenshots $(BIN)/python -m pytest tests/e2e
	@for picture in docs/images/*.png; do cp var/screenshots/$$(basename $$picture) docs/images/; done

check: ## Format, lint, types, import contracts, migrations, templates, docs
	$(install) run dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(static) $(BIN)/mypy
	$(BIN)/lint-imports
	$(static) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(BIN)/djlint --lint --quiet $(wildcard */templates)
	$(BIN)/python -m pytest -q tests/test_docs.py

bench: ## Run benchmarks/NAME.py [DATA=folder] [FULL=1] [RANDOM_WEIGHTS=1]
	$(install) run dev
	@exec $(BIN)/python -m benchmarks $(NAME) $(if $(DATA),--data $(DATA)) $(if $(FULL),--full) $(if $(RANDOM_WEIGHTS),--random-weights)

fix: ## Format, and mend what the linter can mend
	$(install) run dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## Compile requirements*.in to the pinned requirements*.txt [UPGRADE=1]
	$(install) run
	$(BIN)/python -m deploy.local.lock $(if $(UPGRADE),--upgrade)
