"""Broken files of music: none may crash or hang. ``python -m benchmarks.music_fuzz [COUNT] [FOLDER]``.

Each file is a real one (of the package's tunes, or of FOLDER) with some bytes changed, cut out, put in or cut off. A
worker process reads them one after the other, so that a crash is seen and the file that caused it is known. What can
still be read is cut into windows of every kind, drawn, and written again.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.results import Row, write
from gargalo.data.music import files, sources
from gargalo.errors import DataError
from gargalo.verbs.music import piano_roll

SLOW, PATIENCE = 1.0, 60.0  # seconds of a processor, and of a clock
CUTTERS = sources.melody_cut, sources.groove_cut, sources.band_cut
BYTES = (0x00, 0x7F, 0x80, 0x90, 0xF0, 0xF7, 0xFF)


def originals(folder: Path | None = None) -> list[bytes]:
    """The package's tunes as MIDI and as ABC, or a hundred files of MIDI and a tenth as many of ABC."""
    if folder is not None:
        midi = sorted(f for f in folder.rglob("*") if f.suffix.lower() in files.MIDI_SUFFIXES)
        abc = sorted(folder.rglob("*.abc"))
        if not midi and not abc:
            raise SystemExit(f"{folder} holds no files of music; unpack what is in archives.")
        few = midi[:: max(1, len(midi) // 100)] + abc[:: max(1, len(abc) // 10)]
        return [file.read_bytes() for file in few]
    book = Path(files.__file__).parents[2] / "assets" / "tunes.abc"
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "one.mid")
        content = [tune.encode() for tune in book.read_text().split("\n\n") if "X:" in tune][::2]
        for song in files.read_music(book):
            files.write_midi(song, out)
            content.append(out.read_bytes())
    return content


def mutated(content: bytes, rng: random.Random) -> bytes:
    """With one to a hundred changes, half of them in the first bytes, where lengths and times are."""
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 20, 100))):
        place = rng.randrange(len(made) if rng.random() < 0.5 else min(64, len(made)))
        kind = rng.random()
        if kind < 0.75:
            made[place] = rng.choice((rng.randrange(256), rng.choice(BYTES)))
        elif kind < 0.85:
            made[place : place + rng.randrange(1, 40)] = b""
        elif kind < 0.95:
            made[place:place] = rng.randbytes(rng.randrange(1, 40))
        else:
            made = made[: place + 1]
        made = made or bytearray(b"M")
    if made[:4] == b"MThd" and rng.random() < 0.5:  # lengths that agree again let the reader see what lies inside
        _mend(made)
    return bytes(made)


def _mend(made: bytearray) -> None:
    place = 14
    while place + 8 <= len(made):
        following = made.find(b"MTrk", place + 8)
        end = len(made) if following < 0 else following
        made[place + 4 : place + 8] = (end - place - 8).to_bytes(4, "big")
        place = end


def read(content: bytes) -> str:
    """What became of a file: the kind of its refusal, or how it was used."""
    kind = "mid" if b"MThd" in content else "abc"
    try:
        songs = files.read_music(content, f"fuzz.{kind}")
    except DataError as error:
        return f"{kind} refused: " + re.sub(r"[0-9,.]+", "", " ".join(str(error).split()[1:6]))
    form = sources.form_of()._replace(chords=True)
    for song, cutter in product(songs, CUTTERS):
        try:
            cutter(song, form)
        except DataError:
            continue
    for song in songs:
        piano_roll(song)
        with tempfile.TemporaryDirectory() as place:
            files.write_midi(song, Path(place, "again.mid"))
    return f"{kind} read"


def _worker(link: Connection) -> None:
    while (content := link.recv_bytes()) != b"":
        start = time.process_time()
        link.send((read(content), time.process_time() - start))


def run(count: int, folder: Path | None = None, seed: int = 0) -> tuple[Counter[str], float]:
    """Outcomes, ``crash``, ``slow`` and ``hang`` among them where there were any, and the slowest file's seconds, of a
    processor."""
    rng, content = random.Random(seed), originals(folder)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    worker = link = None
    for _ in range(count):
        if worker is None or link is None:
            worker, link = _started()
        made = mutated(rng.choice(content), rng)
        link.send_bytes(made)
        try:
            outcome, seconds = link.recv() if link.poll(PATIENCE) else ("hang", PATIENCE)
        except EOFError:
            outcome, seconds = "crash", 0.0
        slowest = max(slowest, seconds)
        outcomes[outcome if seconds <= SLOW or outcome == "hang" else "slow"] += 1
        if outcome in ("hang", "crash"):
            worker.kill()
            worker = None
    if worker is not None and link is not None:
        link.send_bytes(b"")
        worker.join()
    return outcomes, slowest


def _started():
    context = get_context("spawn")
    link, other = context.Pipe()
    worker = context.Process(target=_worker, args=(other,), daemon=True)
    worker.start()
    other.close()  # so that the end of the worker is the end of the pipe
    link.send_bytes(originals()[0])
    link.recv()  # importing is not reading
    return worker, link


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    outcomes, slowest = run(count, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    for outcome, number in outcomes.most_common():
        print(f"{number:6,} {outcome}")
    rows = [
        Row("crashes", f"{count:,} broken files of music: crashes", outcomes["crash"], None, "files"),
        Row("hangs", f"the same: longer than {SLOW:g} s", outcomes["hang"] + outcomes["slow"], None, "files"),
        Row("slowest", "the same: the slowest", slowest, None, "s"),
    ]
    print(write("music_fuzz", rows))


if __name__ == "__main__":
    main()
