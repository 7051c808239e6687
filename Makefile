# Two commands on a bare machine with Python 3.11: `make demo` and `make test`. Each makes and reuses .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format docs bench bench-speed bench-defaults bench-collections bench-methods bench-restoration bench-music weights weights-music clean

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed
	rm -rf runs/demo
	$(BIN)/gargalo train vae digits --latent-dim 8 --time 20s -o runs/demo
	$(BIN)/gargalo evaluate runs/demo
	$(BIN)/gargalo report runs/demo
	$(BIN)/gargalo sample drums --bars 4 -o runs/demo/beat.mid
	$(BIN)/gargalo convert runs/demo/beat.mid -o runs/demo/beat.html
	$(BIN)/gargalo sample tunes --bars 8 --key G -o runs/demo/tune.html
	$(BIN)/python examples/clean_and_enlarge.py runs/demo/photograph

test: .venv/installed  # two processes of one thread each: faster than one of two, and threads do not wait for others
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: .venv/installed
	$(BIN)/ruff check src tests benchmarks docs examples
	$(BIN)/ruff format --check src tests benchmarks docs examples
	$(BIN)/lint-imports
	$(BIN)/basedpyright

format: .venv/installed
	$(BIN)/ruff check --fix src tests benchmarks docs examples
	$(BIN)/ruff format src tests benchmarks docs examples

bench-methods: .venv/installed  # eight hours: every method for a minute, those with published figures for longer
	$(BIN)/python -m benchmarks.methods
	$(BIN)/python -m benchmarks.samples
	$(BIN)/python -m benchmarks.disentanglement
	$(BIN)/python -m benchmarks.published
	$(BIN)/python -m benchmarks.likelihood
	$(BIN)/python docs/generate.py

docs: .venv/installed
	$(BIN)/python docs/generate.py

weights: .venv/installed  # 75 minutes (for five of the seven, those of a GPU): those that ship, from FLOWERS, a folder of TensorFlow's flower_photos
	$(BIN)/python -m benchmarks.weights $(FLOWERS)

weights-music: .venv/installed  # twenty minutes: those of music that ship, from GROOVE, the Groove MIDI Dataset without audio
	$(BIN)/python -m benchmarks.beats $(GROOVE) --ship

bench-speed: .venv/installed
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.speed.inference
	$(BIN)/python -m benchmarks.speed.quality
	$(BIN)/python -m benchmarks.speed.scale
	$(BIN)/python docs/generate.py

bench-defaults: .venv/installed
	$(BIN)/python -m benchmarks.speed.sweep
	$(BIN)/python docs/generate.py

bench-collections: .venv/installed
	$(BIN)/python -m benchmarks.features
	$(BIN)/python -m benchmarks.anomaly
	$(BIN)/python -m benchmarks.collection
	$(BIN)/python -m benchmarks.losses
	$(BIN)/python docs/generate.py

bench-restoration: .venv/installed  # eleven hours: ten trainings of one, four of ten minutes, classical filters
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[rivals]'
	$(BIN)/python -m benchmarks.restoration
	$(BIN)/python -m benchmarks.restoration --files
	$(BIN)/python -m benchmarks.restoration --claim --minutes 10
	$(BIN)/python -m benchmarks.repairs
	$(BIN)/python docs/generate.py

bench-music: .venv/installed  # four hours: on MUSIC, a folder of nottingham, folk_abc, pop909_first60 and groove
	$(BIN)/python -m benchmarks.music_fuzz
	$(BIN)/python -m benchmarks.music --folder $(MUSIC)
	$(BIN)/python -m benchmarks.beats $(MUSIC)/groove
	$(BIN)/python docs/generate.py

bench: .venv/installed
	$(BIN)/python -m benchmarks.spine
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .venv-rivals runs
