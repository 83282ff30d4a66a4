# make demo   sets everything up and replays the sample conversation
# make check  sets everything up and runs the checks
# make test   sets everything up and runs the checks and tests
# make fuzz   tries damaged input on every reader: make fuzz SECONDS=120 SEED=7
# make kills  kills an archive again and again: make kills RECORDINGS=200 KILLS=10 SEED=7
# make scaling measures an archive on Ray clusters: make scaling RECORDINGS=24 NODES=3 SEED=7
# make soak   disturbs a live session for an hour in every way: make soak MINUTES=60 SEED=7
# make page   keeps a page open beside a live session for an hour: make page MINUTES=60
# make docs   sets everything up and builds the pages of docs/ into build/site
# make schema regenerates the JSON Schema of the events, and their types in TypeScript and C#
PYTHON ?= python3
VENV ?= .venv
# How many processes share the tests.
WORKERS ?= 2
BIN = $(VENV)/bin
export HF_HUB_DISABLE_TELEMETRY = 1

.PHONY: demo test fuzz kills scaling soak page check typing docs schema clean

demo: $(VENV)/.ready
	@$(BIN)/python -m realtime.replay realtime/sample/conversation.mkv --events demo.jsonl --report demo.html
	@$(BIN)/python -m realtime.setup --words tiny.en --yes
	@echo "The same without its captions; Whisper tiny.en writes the words:"
	@$(BIN)/python -m realtime.replay realtime/sample/conversation.mkv --captions off --transcriber tiny.en --events demo-heard.jsonl
	@echo "Open demo.html in a browser. The events are in demo.jsonl, and in demo-heard.jsonl as Whisper heard it."

test: check
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Seconds, and the seed; 0 takes a new one, and prints it.
SECONDS ?= 120
SEED ?= 0
fuzz: $(VENV)/.ready-test
	PYTHONPATH=tests $(BIN)/python -m fuzzing --seconds $(SECONDS) --seed $(SEED)

RECORDINGS ?= 200
KILLS ?= 10
kills: $(VENV)/.ready-test
	PYTHONPATH=tests/realtime $(BIN)/python -m archive_kills --recordings $(RECORDINGS) --kills $(KILLS) --seed $(SEED)

NODES ?= 3
scaling: $(VENV)/.ready-test
	PYTHONPATH=tests/realtime $(BIN)/python -m archive_scaling --recordings $(RECORDINGS) --nodes $(NODES) --seed $(SEED)

# Minutes; the seed is as above. WORDS is as --transcriber in gscon-live live.
MINUTES ?= 60
WORDS ?= off
soak: $(VENV)/.ready-test
	PYTHONPATH=tests:tests/realtime OMP_NUM_THREADS=1 $(BIN)/python tests/faults/soak.py \
		--minutes $(MINUTES) --seed $(SEED) --transcriber $(WORDS)

page: $(VENV)/.ready-test
	PYTHONPATH=tests/realtime OMP_NUM_THREADS=1 $(BIN)/python tests/realtime/open_page.py \
		--minutes $(MINUTES) -- --transcriber $(WORDS)

check: $(VENV)/.ready-test typing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd build/typing && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml

# mypy looks for packages in folders, so it is given one that has them as they are installed.
typing:
	@rm -rf build/typing && mkdir -p build/typing/gscon_live
	@for part in configs model realtime train gscon_live/*; do \
		ln -s $(CURDIR)/$$part build/typing/gscon_live/$${part##*/}; done

docs: $(VENV)/.ready-test
	$(BIN)/python -m zensical build --strict

schema: $(VENV)/.ready
	$(BIN)/python -m realtime.events.schema > realtime/events/schema.json
	$(BIN)/python -m realtime.events.client_types typescript > realtime/examples/events.ts
	$(BIN)/python -m realtime.events.client_types csharp > realtime/examples/Events.cs

# The version of Python is checked first: everything after it would fail in stranger words.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or later is needed; run make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch torchaudio
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train]'
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo.jsonl demo-heard.jsonl demo.html build *.egg-info
