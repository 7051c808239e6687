"""Songs to sound with the instruments of a SoundFont, played by FluidSynth where it is installed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gargalo.data.music.song import PITCH, VELOCITY, Song
from gargalo.data.music.sound import RATE, TAIL, leveled, seconds_of, times
from gargalo.errors import DataError

CHANNELS = 256  # one a track, as many as FluidSynth has
DRUM_BANK = 128
AT_ONCE = 1 << 18  # samples


def render(song: Song, font: Path) -> npt.NDArray[np.int16]:
    """Samples int16 ``[N]`` as of `gargalo.data.music.sound.render`, by the instruments in an .sf2 or .sf3 file.

    DataError for what is no SoundFont, one that lacks an instrument, or songs that are too long; ValueError where
    FluidSynth is not installed.
    """
    seconds = seconds_of(song)
    synth = _synthesizer()
    try:
        _tune(synth, song, font)
        return _played(synth, song, int((seconds + TAIL) * RATE) + 1)
    finally:
        synth.delete()


def _synthesizer() -> Any:
    try:
        import fluidsynth
    except ImportError as error:
        raise ValueError(
            "A SoundFont needs FluidSynth: pip install 'gargalo[soundfont]', and its library, with "
            "`apt install libfluidsynth3` or `brew install fluid-synth`. Without a SoundFont there is sound too."
        ) from error
    return fluidsynth.Synth(samplerate=RATE, channels=CHANNELS)


def _tune(synth: Any, song: Song, font: Path) -> None:
    """A channel for each track, with its instrument."""
    if not font.is_file():
        raise DataError(f"There is no file {font}.")
    with font.open("rb") as stream:
        head = stream.read(12)
    number = synth.sfload(str(font)) if head[:4] == b"RIFF" and head[8:] == b"sfbk" else -1
    if number < 0:
        raise DataError(f"{font} is no SoundFont that can be read. Give an .sf2 or .sf3 file.")
    if len(song.tracks) > CHANNELS:
        raise DataError(f"{song.name} has {len(song.tracks):,} tracks; a SoundFont plays up to {CHANNELS}.")
    for channel, track in enumerate(song.tracks):
        bank, program = (DRUM_BANK, 0) if track.drums else (0, track.program)
        if synth.program_select(channel, number, bank, program) < 0:
            what = "drums" if track.drums else f"program {track.program}"
            raise DataError(f"{font} has no {what}, which {song.name} needs. Take another SoundFont.")


def _played(synth: Any, song: Song, length: int) -> npt.NDArray[np.int16]:
    """What sounds until ``length`` samples are there, both sides mixed."""
    events = _events(song)
    parts: list[npt.NDArray[np.float32]] = []
    for (place, channel, pitch, velocity), following in pairwise([*events, (length, 0, 0, 0)]):
        if velocity:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
        for start in range(place, following[0], AT_ONCE):
            both = synth.get_samples(min(AT_ONCE, following[0] - start)).reshape(-1, 2)
            parts.append(both.mean(1, dtype=np.float32))
    return leveled(np.concatenate([np.zeros(events[0][0], np.float32), *parts]))


def _events(song: Song) -> list[tuple[int, int, int, int]]:
    """Sample, channel, pitch and velocity, 0 where a note ends: ends come before what begins at the same time."""
    events = []
    for channel, track in enumerate(song.tracks):
        for start, end, note in zip(*times(song, track), track.notes, strict=True):
            first = max(0, int(start * RATE))
            events.append((first, 1, channel, int(note[PITCH]), max(1, int(note[VELOCITY]))))
            events.append((max(first + 1, int(end * RATE)), 0, channel, int(note[PITCH]), 0))
    return [(place, channel, pitch, velocity) for place, _, channel, pitch, velocity in sorted(events)]
