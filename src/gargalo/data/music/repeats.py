"""The order in which what is written in ABC notation is played: repeats, and endings that differ from time to time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MAX_TIMES = 16  # that an ending is played


class Event(NamedTuple):
    """Sounds or a rest for ``length`` ticks, or a bar line, an ending or a change where it is 0."""

    kind: str  # note, bar, ending, symbol, metre, key, tempo
    length: int = 0
    pitches: tuple[int, ...] = ()
    text: str = ""
    tied: bool = False


def unfolded(events: list[Event]) -> Iterator[Event]:
    """Repeats played, with their endings.

    A repeat goes back to the last ``|:``, or without one to the last double bar, or to where a repeat has ended. What
    closes a second ending closes the whole, unless a third follows.
    """
    section: list[Event] = []  # since the place to which a repeat goes back, or the last end of an ending
    head: list[Event] = []  # what goes before every ending
    ending, another, explicit = 0, False, False  # in which one, whether one has ended, and whether ``|:`` began it all
    for event in _spelled_out(events):
        if event.kind == "ending":
            if event.text[0] == "1":
                head = list(section)
            elif another:
                yield from head
            ending = int(event.text[0])
        another = another and event.kind != "note" and event.kind != "ending"
        section.append(event)
        sign = event.text if event.kind == "bar" else ""
        closes, opens = sign[:1] == ":", sign[-1:] == ":"
        if closes or opens or (sign in ("||", "|]", "[|") and (ending or not explicit)):
            yield from section
            if closes and ending < 2:
                yield from head if ending else section
            section, another, explicit, ending = [], closes and ending > 1, opens, 0
    yield from section


def _spelled_out(events: list[Event]) -> list[Event]:
    """Endings of several times, ``[1,3`` or ``1-3``, said as often as they are played."""
    found: list[Event] = []
    place = 0
    while place < len(events):
        if events[place].kind != "ending":
            found.append(events[place])
            place += 1
            continue
        first, parts = place, {}
        while place < len(events) and events[place].kind == "ending":
            begin = place + 1
            place = next((n for n in range(begin, len(events)) if _ends_ending(events[n])), len(events))
            place += place < len(events) and events[place].kind == "bar"
            parts |= dict.fromkeys(_times(events[begin - 1].text), events[begin:place])
        if all(event.text.isdigit() for event in events[first:place] if event.kind == "ending"):
            found += events[first:place]
            continue
        for time in sorted(parts):
            part = parts[time]
            if time != max(parts) and part and part[-1].kind == "bar":
                part = [*part[:-1], part[-1]._replace(text=":|")]
            found += [Event("ending", text=str(time)), *part]
    return found


def _ends_ending(event: Event) -> bool:
    return event.kind == "ending" or (event.kind == "bar" and (event.text[:1] == ":" or event.text in ("||", "|]")))


def _times(text: str) -> list[int]:
    """``1,3`` or ``1-3`` as numbers, up to `MAX_TIMES`."""
    ranges = [[int(number) for number in part.split("-") if number] for part in text.split(",")]
    return [n for ends in ranges if ends for n in range(ends[0], min(ends[-1], MAX_TIMES) + 1)]
