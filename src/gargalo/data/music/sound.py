"""Songs to sound: a small synthesizer, so that what a model writes can be heard anywhere without a sound font.

A tone is one period of a wave, bright at first and mellow later, with an envelope by the family of its instrument.
Nine drum sounds are made of falling sines and noise.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gargalo.data.cache import replacing
from gargalo.data.music.song import LENGTH, PITCH, START, VELOCITY, Song, Track
from gargalo.data.music.vocabulary import DRUMS, drum_class
from gargalo.errors import DataError

RATE = 44_100  # samples a second
MAX_SECONDS, MAX_SOUNDING = 1_200, 20_000  # of a song; of all its notes together
KEPT = 2.0  # seconds of the longest tone that is remembered
PERIOD = 2_048  # samples of a stored wave
RELEASE, TAIL = 0.06, 1.5  # seconds: a tone's end after its key; the longest drum
PEAK = 0.89  # of full scale: a decibel of headroom

Sound = npt.NDArray[np.float32]

# By General MIDI's sixteen families of eight programs: seconds to full strength, to 1/e of it (0: it stays), and how
# fast the harmonics fall off; a large number is close to a sine.
_FAMILIES = (
    (0.004, 0.9, 1.6), (0.002, 0.5, 2.2), (0.02, 0.0, 1.4), (0.003, 0.7, 1.5), (0.005, 0.9, 1.8), (0.06, 0.0, 1.2),
    (0.09, 0.0, 1.5), (0.03, 0.0, 1.0), (0.03, 0.0, 1.3), (0.04, 0.0, 2.4), (0.01, 0.0, 1.0), (0.15, 0.0, 1.7),
    (0.1, 2.0, 1.4), (0.005, 0.6, 1.3), (0.002, 0.3, 2.0), (0.05, 1.0, 1.2),
)  # fmt: skip


def render(song: Song) -> npt.NDArray[np.int16]:
    """Samples int16 ``[N]``, `RATE` a second, one channel. DataError for songs that are too long."""
    mixed = np.zeros(int((seconds_of(song) + TAIL) * RATE) + 1, np.float32)
    for track in song.tracks:
        starts, ends = times(song, track)
        kinds = drum_class(track.notes[:, PITCH]) if track.drums else track.notes[:, PITCH]
        rows = zip(starts, ends - starts, kinds.tolist(), track.notes[:, VELOCITY].tolist(), strict=True)
        for start, seconds, kind, velocity in rows:
            sound = drum(kind) if track.drums else _tone(kind, round(seconds, 3), track.program // 8)
            place = max(int(start * RATE), 0)
            part = mixed[place : place + len(sound)]
            part += sound[: len(part)] * np.float32((velocity / 127) ** 1.5)
    return leveled(mixed)


def seconds_of(song: Song) -> float:
    """How long it lasts. DataError where that, or the time that its notes sound together, is too long."""
    length = float(song.seconds(np.array([song.end]))[0])
    if length > MAX_SECONDS:
        raise DataError(
            f"{song.name} lasts {length / 60:,.0f} minutes; up to {MAX_SECONDS // 60} can be made to sound."
        )
    if sum(float(np.subtract(*times(song, track)[::-1]).sum()) for track in song.tracks) > MAX_SOUNDING:
        raise DataError(f"{song.name} has more than {MAX_SOUNDING:,} seconds of notes, too many to be made to sound.")
    return length


def leveled(mixed: Sound) -> npt.NDArray[np.int16]:
    """As loud as 16 bits take, but for `PEAK`."""
    loudest = float(np.abs(mixed).max()) or 1.0
    return np.rint(mixed * (PEAK * 32767 / loudest)).astype(np.int16)


def times(song: Song, track: Track) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """When its notes start and end, in seconds."""
    return song.seconds(track.notes[:, START]), song.seconds(track.notes[:, START] + track.notes[:, LENGTH])


def write_wav(samples: npt.NDArray[np.int16], file: Path) -> None:
    """16 bit, one channel."""
    with replacing(file) as stream:
        stream.write(wav(samples))


def wav(samples: npt.NDArray[np.int16], halved: bool = False) -> bytes:
    """The content of such a file; ``halved`` has half as many samples a second, each the mean of two."""
    if halved:
        samples = samples[: len(samples) // 2 * 2].reshape(-1, 2).mean(1).astype(np.int16)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE // (1 + halved))
        sound.writeframes(samples.astype("<i2").tobytes())
    return stream.getvalue()


def _tone(pitch: int, seconds: float, family: int) -> Sound:
    """Short notes come again and again; long ones would fill the memory."""
    return (tone if seconds <= KEPT else tone.__wrapped__)(pitch, seconds, family)


@lru_cache(512)
def tone(pitch: int, seconds: float, family: int) -> Sound:
    """A note of an instrument of one of 16 families, with its release."""
    attack, decay, fall = _FAMILIES[family]
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(int((seconds + RELEASE) * RATE), dtype=np.float32) / RATE
    place = ((time * frequency % 1) * PERIOD).astype(np.int32)
    octave = max(0, pitch // 12)
    bright = np.exp(-time / 0.25)
    sound = bright * _wave(octave, fall)[place] + (1 - bright) * _wave(octave, fall + 0.8)[place]
    level = np.minimum(time / attack, 1) * np.minimum((time[-1:] - time) / RELEASE, 1)
    return (sound * level * (np.exp(-time / decay) if decay else 1)).astype(np.float32)


@lru_cache(128)
def _wave(octave: int, fall: float) -> Sound:
    """One period of the harmonics that can be heard and that `RATE` can hold, of equal loudness for all."""
    highest = 440 * 2 ** ((12 * octave + 11 - 69) / 12)
    count = max(1, min(24, int(RATE / 2 / highest)))
    harmonics = np.arange(1, count + 1)[:, None]
    period = (np.sin(2 * np.pi * harmonics * np.arange(PERIOD) / PERIOD) * harmonics**-fall).sum(0)
    return (0.2 * period / np.sqrt((period**2).mean())).astype(np.float32)


@lru_cache(16)
def drum(kind: int) -> Sound:
    """One of the nine `vocabulary.DRUMS`; a click where it is none of them."""
    return np.asarray(_KIT[DRUMS[kind]]() if kind >= 0 else _noise(0.03, 0.008, 0.3), np.float32)


def _falling(seconds: float, high: float, low: float, decay: float) -> npt.NDArray[np.float64]:
    """A sine that falls from one frequency to another: a skin that was struck."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = low * time + (high - low) * 0.03 * (1 - np.exp(-time / 0.03))
    return np.sin(2 * np.pi * phase) * np.exp(-time / decay) * np.minimum((seconds - time) / 0.01, 1)


def _noise(seconds: float, decay: float, loud: float, edges: int = 1) -> npt.NDArray[np.float64]:
    """Noise that dies away; the more ``edges`` the less of it is low."""
    time = np.arange(int(seconds * RATE)) / RATE
    white = np.random.default_rng(0).standard_normal(len(time) + edges)
    high = np.diff(white, edges) / 2**edges
    return loud * high * np.exp(-time / decay) * np.minimum((seconds - time) / 0.01, 1)


def _snare() -> npt.NDArray[np.float64]:
    return 0.5 * _falling(0.25, 260, 180, 0.06) + _noise(0.25, 0.07, 0.6)


def _ride() -> npt.NDArray[np.float64]:
    time = np.arange(int(1.2 * RATE)) / RATE
    ring = sum(np.sin(2 * np.pi * f * time) for f in (3_170, 4_450, 5_830, 7_210)) * np.exp(-time / 0.35)
    return 0.06 * ring * np.minimum((1.2 - time) / 0.01, 1) + _noise(1.2, 0.08, 0.25, 2)


_KIT: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
    "kick": lambda: 1.2 * _falling(0.4, 160, 48, 0.13),
    "snare": _snare,
    "closed hi-hat": lambda: _noise(0.09, 0.025, 0.6, 3),
    "open hi-hat": lambda: _noise(0.5, 0.16, 0.6, 3),
    "low tom": lambda: 0.9 * _falling(0.45, 140, 82, 0.16),
    "mid tom": lambda: 0.9 * _falling(0.4, 190, 116, 0.14),
    "high tom": lambda: 0.9 * _falling(0.35, 260, 165, 0.12),
    "crash": lambda: _noise(1.5, 0.45, 0.6, 2),
    "ride": _ride,
}
