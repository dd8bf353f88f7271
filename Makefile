# Commands for people; tools/setup.sh holds how things are installed.
.POSIX:
.PHONY: help setup app test lint screenshots

BIN = .venv/bin

help:
	@echo "make setup        install everything the app needs into .venv"
	@echo "make app          set up, then open the app on http://127.0.0.1:8501"
	@echo "make test         style, types, unit tests and browser tests"
	@echo "make lint         style and types only"
	@echo "make screenshots  draw docs/explore-*.png anew"

setup:
	@sh tools/setup.sh app

app: setup
	@$(BIN)/csp serve

lint:
	@sh tools/setup.sh lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy csp_core
	$(BIN)/mypy app

test:
	@sh tools/setup.sh test
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

screenshots:
	@sh tools/setup.sh test
	$(BIN)/python tests/browser/screenshots.py
