# make demo: set up and make pictures. make test: set up and run every check. make tables: write what is made of the settings' table. make bench: measure. make gpu: measure a graphics card (PARTS="overhead vae" for some parts). make docs: the pages as a site. make release: a zip for the WebUI. Windows: see README.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GRADIO3 := .venv-gradio3/.installed
GRADIO4 := .venv-gradio4/.installed

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Files of tests that run at once, each on one thread.
TEST_JOBS ?= 2
RELEASE ?= out/tiled-diffusion-$(VERSION).zip
RELEASED := LICENSE CHANGELOG.md README.md README.zh-CN.md install.py style.css pyproject.toml constraints.txt \
  scripts javascript localizations tiled_diffusion tiled_vae ':(glob)docs/*.md'

.PHONY: demo tables test lint types python-tests javascript-tests test-webui bench gpu docs release clean

demo: $(STAMP)
	$(BIN)/python -m tiled_diffusion demo

test: $(STAMP) $(GRADIO3) $(GRADIO4) lint types python-tests javascript-tests docs

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

python-tests: $(STAMP) node_modules/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "" -n $(TEST_JOBS) --dist loadfile

javascript-tests: node_modules/.installed
	npx --no-install tsc -p jsconfig.json
	node --test --experimental-test-coverage tests/javascript/*.test.js | $(PYTHON) tests/javascript/coverage.py

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Node with npm is needed for the JavaScript tests"; exit 1; }
	npm ci --silent --no-audit --no-fund
	@touch $@

test-webui: $(STAMP)
	$(BIN)/python -m tests.webui_suite

bench: $(STAMP)
	$(BIN)/python -m bench

docs: $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

$(VENV)/.docs-installed: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@

# What a WebUI needs, as the last commit has it: no tests, no training, no pictures.
release:
	@mkdir -p $(dir $(RELEASE))
	git archive --format=zip --prefix=tiled-diffusion/ --output=$(RELEASE) HEAD $(RELEASED)
	@echo "$(RELEASE)"

gpu: $(STAMP)
	$(BIN)/python -m bench --only gpu $(if $(PARTS),--parts $(PARTS))

tables: $(STAMP)
	$(BIN)/python -m tiled_diffusion.settings.generate

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || \
	  { echo "Python 3.10, 3.11 or 3.12 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[standalone,dev]"
	@touch $(STAMP)

# The panel is tested on the versions of gradio that hosts have, each in an environment of its own.
.venv-gradio%/.installed: constraints-gradio%.txt
	$(PYTHON) -m venv .venv-gradio$*
	.venv-gradio$*/bin/python -m pip install --quiet --disable-pip-version-check -c $< torch==2.13.0
	.venv-gradio$*/bin/python -m pip install --quiet --disable-pip-version-check -c $< gradio pillow numpy safetensors
	@touch $@

clean:
	rm -rf $(VENV) .venv-gradio3 .venv-gradio4 out bench/out
