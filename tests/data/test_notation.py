"""Tunes in ABC notation, against what a musician would play."""

from __future__ import annotations

import pytest

from gargalo.data.music import grid, notation
from gargalo.data.music.harmony import chord_name, chord_number
from gargalo.data.music.song import Key, Metre
from gargalo.errors import DataError

SCALE = "X:1\nT:Scale\nM:4/4\nL:1/8\nK:C\nCDEF GABc|c2 z2 C4|\n"


def test_a_pickup_stands_before_the_first_bar_line():
    tune = notation.read_book(b"X:1\nM:3/4\nL:1/4\nK:C\nC|DEF|G3|\n", "t")[0]
    starts = grid.to_steps(tune, tune.tracks[0].notes[:, 0])
    assert starts.tolist() == [8, 12, 16, 20, 24]
    assert grid.bar_starts(tune).tolist() == [0, 12, 24]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("C|DEF|G3|A|", [0, 12, 24, 36]),
        ("C|DEF|G2:|c|DEF|G3|", [0, 12, 24, 36, 48, 60, 72]),  # upbeats that make whole bars
        ("DEF|G3|A|DEF|G3|", [0, 12, 24, 28, 40]),  # one beat too many
        ("DEF|G2|DEF|G3|", [0, 12, 20, 32]),  # one too few
        ("DEF|[M:4/4]G4|DEFG|", [0, 12, 28]),
    ],
)
def test_bars_are_where_they_are_written(body, lines):
    tune = notation.read_book(f"X:1\nM:3/4\nL:1/4\nK:C\n{body}\n".encode(), "t")[0]
    assert grid.bar_starts(tune).tolist() == lines


def test_tempo_key_and_units_change_where_they_are_written():
    text = 'X:1\nM:4/4\nQ:"Slow, then fast" 3/8=100\nK:F\nC8|[Q:1/4=112.5]C8|[K:D][M:2/4]C4|C4|\n'
    tune = notation.read_book(text.encode(), "t")[0]
    bar = 4 * notation.DIVISION
    assert [(t.tick, round(t.quarters_a_minute, 1)) for t in tune.tempos] == [(0, 150.0), (bar, 112.5)]
    assert tune.keys == (Key(0, -1, False), Key(2 * bar, 2, False))
    assert tune.tracks[0].notes[:, 1].tolist() == [bar, bar, bar // 2, bar // 2]  # of 1/8, also in 2/4


def test_a_books_header_is_for_all_of_its_tunes():
    text = "%abc\nL:1/4\nM:3/4\nR:waltz\n\nL:1/2\n\nX:1\nK:C\nCDE|\n\nX:2\nL:1/8\nM:4/4\nK:C\nCD|\n"
    first, second = notation.read_book(text.encode(), "t")
    assert first.metres == (Metre(0, 3, 4),)
    assert set(first.tracks[0].notes[:, 1]) == {notation.DIVISION}
    assert second.metres == (Metre(0, 4, 4),)
    assert set(second.tracks[0].notes[:, 1]) == {notation.DIVISION // 2}


def test_endings_without_end_are_bounded():
    text = "X:1\nM:4/4\nL:1/8\nK:C\n|:" + "C" * 4000 + "|1D:|" + "[2E:|" * 4000
    with pytest.raises(DataError, match="with its repeats"):
        notation.read_book(text.encode(), "t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("K:D\nFCc_B|Bf'", [66, 61, 73, 70, 71, 90]),  # the key's sharps; an accidental holds to the bar line
        ("K:Gm\nB^BB=e,", [70, 71 + 1, 72, 64]),
        ("K:Edor\n=c|cF", [72, 73, 66]),
        ("K:C\n|:C|1D:|2E|]F", [60, 62, 60, 64, 65]),
        ("K:C\n|:C:|:D:|", [60, 60, 62, 62]),
        ("K:C\nC|1D:|2E||F:|", [60, 62, 60, 64, 65, 65]),  # the second ending is not what is repeated next
        ("K:C\n|:C|1D:|2E:|", [60, 62, 60, 64]),  # what closes the second ending closes the whole
        ("K:C\n|:C|1D:|2E:|3F:|", [60, 62, 60, 64, 60, 65]),
        ("K:C\nC|D||E|F:|", [60, 62, 64, 65, 64, 65]),  # back to the double bar
        ("K:C\n|:C|D||E:|", [60, 62, 64, 60, 62, 64]),  # unless the repeat says where it begins
        ("K:C\n|:C|[1,3D:|[2,4E:|", [60, 62, 60, 64, 60, 62, 60, 64]),
        ("K:C\n|:C|1-2D:|3E|]F", [60, 62, 60, 62, 60, 64, 65]),
        ("K:C\nC&E|D", [60, 62]),  # what sounds beside the voice in a bar
        ("K:Hp\nfcg", [78, 73, 79]),
        ("K:D exp ^g\nFg", [65, 80]),
        ("K:D ^g_b middle=d\nFgbd", [66, 80, 82, 74]),
        ("K:C\nC-C D", [60, 62]),
        ("K:C\n^F4-|F2F2|[^CE]-|[CE]C|", [66, 65, 61, 64, 60]),  # a tie takes an accidental over the bar line, once
        ("K:C\n[V:1]C[V:2][K:D]F\nV:1\nF", [60, 65]),  # the key of a voice that is not read
        ('K:C\n"Am"A{gag}B!trill!c', [69, 71, 72]),
        ("K:C\n[V:1]C[V:2]D\nV:2\nEE\nV:1\nF", [60, 65]),
        ("K:C\nd:|\n", [74, 74]),  # a line of music that looks like a field
    ],
)
def test_pitches_of_abc(text, expected):
    tune = notation.read_book(f"X:1\nL:1/8\nM:4/4\n{text}\n".encode(), "t")[0]
    assert tune.tracks[0].notes[:, 2].tolist() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A>B A<B A2", [3, 1, 1, 3, 4]),
        ("A/B//c3/2 z2 d", [1, 0.5, 3, 2]),
        ("(3ABc d", [4 / 3, 4 / 3, 4 / 3, 2]),
        ("[L:1/4]A [ceg]2", [4, 8, 8, 8]),
        ("Z A4", [8]),
    ],
)
def test_lengths_of_abc_in_sixteenths(text, expected):
    tune = notation.read_book(f"X:1\nL:1/8\nM:4/4\nK:C\n{text}|\n".encode(), "t")[0]
    assert (tune.tracks[0].notes[:, 1] / 1260).tolist() == pytest.approx(expected)


def test_every_tune_of_a_book_with_its_title_tempo_and_chords():
    book = SCALE + "\nX:2\nT:Jig\nM:6/8\nQ:3/8=100\nK:G\n" + '"G"GBd "Fine"g3|"D7"dcA|\n'
    first, second = notation.read_book(book.replace("\n", "\r\n").encode(), "book.abc")
    assert (first.name, second.name) == ("Scale", "Jig")
    assert second.metres == (Metre(0, 6, 8),)
    assert second.tempos[0].quarters_a_minute == pytest.approx(150)
    assert [chord_name(chord_number(symbol)) for _, symbol in second.chords] == ["G", "D7"]
    assert second.keys == (Key(0, 1, False),)
