"""Which of the windows that are there is the game's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpilot.desktop.window import Candidate, WindowNotFoundError, choose

TITLE = "Assetto Corsa"


def window(title: str = TITLE, program: str = "", pixels: int = 100) -> Candidate[str]:
    return Candidate(title, f"{title} of {program}", program, pixels)


@pytest.mark.parametrize(
    "other",
    [
        window("Assetto Corsa - lap record - YouTube - Mozilla Firefox", "firefox.exe", 9999),
        window(TITLE, "explorer.exe", 9999),
        window(TITLE, "AssettoCorsa.exe", 9999),
        window("ASSETTO CORSA", "chrome.exe", 9999),
        window(TITLE, "", 9999),
        window(TITLE, "acs.exe", 99),
    ],
    ids=["a video in a browser", "a folder", "the launcher", "a page as an app", "a program not told", "a smaller one"],
)
def test_the_games_window_wins_wherever_it_is_listed(other: Candidate[str]) -> None:
    game = window("assetto corsa", "ACS.EXE")
    assert choose(TITLE, [other, game]) == game
    assert choose(TITLE, [game, other]) == game


@pytest.mark.parametrize("program", ["explorer.exe", "AssettoCorsa.exe"])
def test_alone_a_folder_or_the_launcher_is_no_game(program: str) -> None:
    with pytest.raises(WindowNotFoundError, match="no window is titled 'Assetto Corsa'"):
        choose(TITLE, [window(TITLE, program), window("Notes")])


def test_another_program_is_taken_where_the_game_is_not() -> None:
    """The practice game, say, or a replay."""
    assert choose(TITLE, [window("Notes"), window(TITLE, "python.exe")]).program == "python.exe"


def test_the_titles_that_are_there_are_told_in_a_short_line() -> None:
    found = [window(f"Window {number}", pixels=number) for number in range(20)] + [window("x" * 300, pixels=50)]
    with pytest.raises(WindowNotFoundError) as fault:
        choose(TITLE, found)
    line = str(fault.value)
    assert "there are: 'xxx" in line
    assert "'Window 19', 'Window 18'" in line
    assert line.count("'Window ") == 7
    assert line.endswith(", ...")
    assert len(line) < 300
    with pytest.raises(WindowNotFoundError, match=r"give one of these with --title: 'Window 19', 'Window 18', "):
        choose("window", found)


@given(
    st.lists(
        st.builds(
            window,
            st.sampled_from([TITLE, TITLE.upper(), "Assetto Corsa 2", "Assetto", ""]) | st.text(max_size=5),
            st.sampled_from(["", "acs.exe", "ACS.exe", "explorer.exe", "AssettoCorsa.exe", "chrome.exe"]),
            st.integers(0, 5),
        )
    ),
    st.randoms(use_true_random=False),
)
def test_the_choice_does_not_depend_on_the_order(found: list[Candidate[str]], random: object) -> None:
    """But between windows that are alike in all that counts."""

    def rank(each: Candidate[str]) -> tuple[bool, int]:
        return each.program.lower() == "acs.exe", each.pixels

    possible = [
        each
        for each in found
        if each.title.lower() == TITLE.lower() and each.program.lower() not in ("explorer.exe", "assettocorsa.exe")
    ]
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    if not possible:
        with pytest.raises(WindowNotFoundError):
            choose(TITLE, shuffled)
    else:
        assert rank(choose(TITLE, shuffled)) == max(map(rank, possible))
