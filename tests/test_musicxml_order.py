"""Test the order in which MusicXML is played.

Repeats, endings and jumps may be stated in several ways.
"""

from __future__ import annotations

import pytest

from styletransfer.errors import InputError
from tests.test_musicxml import BACK, STEPS, attributes, note, notes, read, rows, says


def repeat(direction: str = "backward", more: str = "") -> str:
    side = "left" if direction == "forward" else "right"
    return f'<barline location="{side}"><repeat direction="{direction}"{more}/></barline>'


def ending(number: str, kind: str, back: bool = False) -> str:
    side = "left" if kind == "start" else "right"
    sent = '<repeat direction="backward"/>' if back else ""
    return f'<barline location="{side}"><ending number="{number}" type="{kind}"/>{sent}</barline>'


def steps_of(marks: dict[str, tuple[str, str]], last: str = "B") -> str:
    """Return what is played of measures C D E …, by the letters of their notes.

    Each measure has something before and after its note.
    """
    bars = []
    for step in "CDEFGAB"[: "CDEFGAB".index(last) + 1]:
        before, after = marks.get(step, ("", ""))
        bars.append((attributes((1, 4)) if step == "C" else "") + before + note(step) + after)
    piece = read(("A", bars))
    assert not piece.remarks
    assert piece.bars["start"].tolist() == list(range(len(piece.notes)))
    return "".join(STEPS[pitch - 60] for _, pitch in rows(piece))


FORWARD = repeat("forward")
FIRST, SECOND = ending("1", "start"), ending("2", "start")
FIRST_ENDS, SECOND_ENDS = ending("1", "stop", back=True), ending("2", "discontinue")


@pytest.mark.parametrize(
    ("marks", "played"),
    [
        ({"D": ("", BACK), "E": ("", BACK)}, "CDCDEEFGAB"),
        ({step: ("", BACK) for step in "CDEFGAB"}, "CCDDEEFFGGAABB"),
        ({"C": (FORWARD, BACK), **{step: ("", BACK) for step in "DEFGAB"}}, "CCDDEEFFGGAABB"),
        ({"D": (FORWARD, ""), "E": ("", BACK)}, "CDEDEFGAB"),
        ({"C": ("", repeat("backward", ' times="3"'))}, "CCCDEFGAB"),
        ({"E": (FIRST, FIRST_ENDS), "F": (SECOND, SECOND_ENDS)}, "CDECDFGAB"),
        ({"D": (FORWARD, ""), "E": (FIRST, FIRST_ENDS)}, "CDEDFGAB"),
        (
            {
                "D": (FIRST, FIRST_ENDS),
                "E": (SECOND, ""),
                "F": (FORWARD, ""),
                "G": (FIRST, FIRST_ENDS),
                "A": (SECOND, ""),
            },
            "CDCEFGFAB",
        ),
        ({"D": (FIRST, ""), "E": ("", BACK), "F": (SECOND, SECOND_ENDS)}, "CDECFGAB"),
        ({"D": (FIRST, FIRST_ENDS), "E": (SECOND, SECOND_ENDS), "G": ("", BACK)}, "CDCEFGFGAB"),
        ({"D": (FIRST, ending("1", "stop")), "E": (SECOND, SECOND_ENDS)}, "CDCEFGAB"),
        (
            {
                "D": (ending("1, 2", "start"), ending("1, 2", "stop", back=True)),
                "E": (ending("3", "start"), ""),
            },
            "CDCDCEFGAB",
        ),
        (
            {
                "D": (FIRST, FIRST_ENDS),
                "E": (SECOND, ending("2", "stop", back=True)),
                "F": (ending("3", "start"), ""),
            },
            "CDCECFGAB",
        ),
        ({"F": (FORWARD, "")}, "CDEFGAB"),
        ({"D": ('<sound forward-repeat="yes"/>', ""), "F": ("", BACK)}, "CDEFDEFGAB"),
    ],
)
def test_repeats_and_endings(marks: dict[str, tuple[str, str]], played: str) -> None:
    """A repeat without a beginning goes back to where the one before it ended; each ending is
    played at its own turns.
    """
    assert steps_of(marks) == played


TO_CODA, SEGNO = says("To Coda", 'tocoda="c"'), says("", 'segno="{}"', "segno")
CAPO, AL_FINE = says("", 'dacapo="yes"'), says("Fine", 'fine="yes"')


@pytest.mark.parametrize(
    ("marks", "played"),
    [
        ({"D": ("", AL_FINE), "B": ("", says("Scherzo da capo", 'dacapo="yes"'))}, "CDEFGABCD"),
        ({"D": ("", AL_FINE), "B": ("", says("Minuetto D. C. senza replica"))}, "CDEFGABCD"),
        ({"D": ("", says("Fine")), "B": ("", says("Gavotte da Capo"))}, "CDEFGABCD"),
        ({"D": ("", says("Ende", 'fine="yes"')), "B": ("", CAPO)}, "CDEFGABCD"),
        (
            {
                "C": (FORWARD, BACK),
                "D": (FORWARD, AL_FINE + BACK),
                "E": ("", BACK),
                "F": ("", BACK + CAPO),
            },
            "CCDDEEFFCD",
        ),
        (
            {
                "D": (FORWARD, AL_FINE),
                "E": (FIRST, FIRST_ENDS),
                "F": (SECOND, SECOND_ENDS),
                "G": ("", CAPO),
            },
            "CDEDFGCD",
        ),
        (
            {
                "C": ("", repeat("backward", ' after-jump="yes"')),
                "D": ("", AL_FINE),
                "E": ("", CAPO),
            },
            "CCDECCD",
        ),
        ({"D": (says(sign="segno"), ""), "F": ("", says("D.S."))}, "CDEFDEFGAB"),
        (
            {
                "D": (SEGNO.format("x"), ""),
                "E": (SEGNO.format("y"), ""),
                "F": ("", AL_FINE),
                "G": ("", says("", 'dalsegno="y"')),
            },
            "CDEFGEF",
        ),
        (
            {
                "D": (says(sign="segno") + FORWARD, ""),
                "E": (FIRST, FIRST_ENDS),
                "F": (SECOND, SECOND_ENDS + TO_CODA),
                "G": ("", says("D.S. al Coda", 'dalsegno="s"')),
                "A": (says("", 'coda="c"', "coda"), ""),
            },
            "CDEDFGDFAB",
        ),
        (
            {
                "D": ("", says("", 'tocoda="c"')),
                "E": ("", CAPO),
                "F": (says("", 'coda="c"') + FORWARD, BACK),
            },
            "CDECDFFGAB",
        ),
        (
            {
                "D": ("", says(sign="coda")),
                "E": ("", says("D.C. al Coda")),
                "F": (says(sign="coda"), ""),
            },
            "CDECDFGAB",
        ),
        ({"D": (FIRST, says("D.C.") + ending("1", "stop")), "E": (SECOND, AL_FINE)}, "CDCE"),
    ],
)
def test_jumps(marks: dict[str, tuple[str, str]], played: str) -> None:
    """``<sound>`` decides, whatever the words say; after a da capo there are no repeats and only
    the last ending, but music not yet played has its repeats.
    """
    assert steps_of(marks, max(played, key="CDEFGAB".index)) == played


def test_endless_repeats_are_refused() -> None:
    many = [attributes((1, 4)) + note("C")] + [note("D") + CAPO] * 300
    with pytest.raises(InputError, match="20,000 bars or more"):
        read(("A", many))


def test_signs_of_any_part_hold_for_all() -> None:
    """Bar lines are those of the part with the most, jumps those of every part."""
    upper = [attributes() + note("C", 4), note("D", 4), note("E", 4) + CAPO]
    lower = [attributes() + note("C3", 4), note("D3", 4) + BACK, note("E3", 4)]
    piece = read(("A", upper), ("B", lower))
    assert [pitch for _, pitch in rows(piece, 0)] == [60, 62, 60, 62, 64, 60, 62, 64]
    assert [pitch + 12 for _, pitch in rows(piece, 1)] == [pitch for _, pitch in rows(piece, 0)]


def test_a_repeat_within_a_measure() -> None:
    middle = '<barline location="middle"><repeat direction="backward"/></barline>'
    piece = read(("A", [attributes() + notes("C D E F"), notes("G A") + middle + notes("B C")]))
    assert [STEPS[pitch - 60] for _, pitch in rows(piece)] == list("CDEFGACDEFGABC")
