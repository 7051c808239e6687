"""Parts that a file spreads over several tracks, as one track each, and given back to where they came from.

Many programs write each drum of a kit to a track of its own; and a change of instrument in the middle of a part cuts
its track in two when a file is read.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gargalo.data.music.song import LENGTH, PITCH, START, Song, Track, sorted_notes

Group = tuple[int, ...]  # numbers of the tracks of a part


def merged(song: Song) -> Song:
    """The song with each part as one track, in the place, and with the program, of its first."""
    groups = _groups(song.tracks)
    if len(groups) == len(song.tracks):
        return song
    return replace(song, tracks=tuple(_one([song.tracks[number] for number in group]) for group in groups))


def parted(song: Song, tracks: tuple[Track, ...]) -> Song:
    """The inverse: notes of a `merged` song, perhaps others by now, in the ``tracks`` that it had.

    A drum goes to the track that has this drum, any other note to the one that plays at its time.
    """
    groups = _groups(tracks)
    if len(groups) == len(tracks):
        return song
    found: dict[int, Track] = {}
    for track, group in zip(song.tracks, groups, strict=True):
        if len(group) == 1 or track.drums != tracks[group[0]].drums:
            found |= {number: replace(track, notes=track.notes[:0]) for number in group[1:]} | {group[0]: track}
            continue
        own = [tracks[number] for number in group]
        owner = _drummers(track, own) if track.drums else _turns(track, own)
        found |= {number: replace(tracks[number], notes=track.notes[owner == n]) for n, number in enumerate(group)}
    return replace(song, tracks=tuple(found[number] for number in range(len(tracks))))


def _groups(tracks: tuple[Track, ...]) -> list[Group]:
    """All drums; tracks of one name and several instruments that take turns; each other track alone."""
    kit = [number for number, track in enumerate(tracks) if track.drums and len(track.notes)]
    parts, named = [kit] if kit else [], dict[str, list[int]]()
    for number in [number for number in range(len(tracks)) if number not in kit]:
        part = named.get(tracks[number].name)
        if part is not None and _takes_turns(tracks[number], [tracks[before] for before in part]):
            part.append(number)
        else:
            part = [number]
            parts.append(part)
            if tracks[number].name:
                named.setdefault(tracks[number].name, part)
    return sorted(tuple(part) for part in parts)


def _takes_turns(track: Track, part: list[Track]) -> bool:
    """Whether a track is of an instrument that a part has not, and rests while that plays."""
    if any(track.program == other.program for other in part) or not all(len(each.notes) for each in (track, *part)):
        return False
    notes = _one(part).notes
    ends = np.maximum.accumulate(notes[:, START] + notes[:, LENGTH])
    last = np.searchsorted(notes[:, START], track.notes[:, START] + track.notes[:, LENGTH]) - 1  # that begins before
    return not ((last >= 0) & (ends[last] > track.notes[:, START])).any()


def _one(tracks: list[Track]) -> Track:
    return replace(tracks[0], notes=sorted_notes(np.concatenate([track.notes for track in tracks])))


def _turns(track: Track, own: list[Track]) -> npt.NDArray[np.int64]:
    """Which of ``own`` plays at each note: the one whose note was the last to begin."""
    starts = np.concatenate([part.notes[:, START] for part in own])
    owner = np.repeat(np.arange(len(own)), [len(part.notes) for part in own])
    order = np.argsort(starts, kind="stable")
    place = np.searchsorted(starts[order], track.notes[:, START], side="right") - 1
    return owner[order][place.clip(min=0)]


def _drummers(track: Track, own: list[Track]) -> npt.NDArray[np.int64]:
    """Which of ``own`` has each drum: of several the one that strikes it most often, of none that with most hits."""
    counts = np.stack([np.bincount(part.notes[:, PITCH], minlength=128) for part in own])
    busiest = counts.sum(1).argmax()
    return np.where(counts.any(0), counts.argmax(0), busiest)[track.notes[:, PITCH]]
