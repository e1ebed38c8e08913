"""The front door: one command per verb, arguments and messages only.

Each command imports what it needs when it runs, so that ``acpilot --help`` is quick and asks for no extra.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from io import TextIOWrapper
from itertools import chain
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env, Toml
from cyclopts.validators import Number
from rich.console import Console

from acpilot import __version__
from acpilot.commands import command
from acpilot.dataset.settings import CombineSettings, ConvertSettings, EngineSettings, ExportSettings
from acpilot.driving.settings import DriveSettings, GamepadTestSettings
from acpilot.errors import AcpilotError
from acpilot.evaluation.settings import EvaluateSettings, ImproveSettings
from acpilot.files import read_toml
from acpilot.learning.settings import TrainSettings
from acpilot.practice.settings import PracticeSettings
from acpilot.progress import progress_bar, status_line
from acpilot.recording.settings import DemoSettings, RecordSettings
from acpilot.replay.settings import ReplaySettings

if TYPE_CHECKING:
    from acpilot.dataset.engine import Work
    from acpilot.dataset.finding import Finding

T = TypeVar("T")


class _Environment(Env):
    """Variables of the environment: with an underscore where a command's name has a hyphen, which no shell allows."""

    def _prefix(self, commands: tuple[str, ...]) -> str:
        return super()._prefix(commands).replace("-", "_")


class _SettingsFile(Toml):
    """``acpilot.toml``; what cannot be read of it is a fault of the user's like any other."""

    def _load_config(self, path: Path) -> dict[str, Any]:
        return read_toml(path)

    @property
    def config(self) -> dict[str, Any]:
        try:
            return super().config
        except CycloptsError as error:
            if isinstance(error.__cause__, AcpilotError):
                raise error.__cause__ from None
            raise


app = App(
    name="acpilot",
    help="""Turns laps driven in Assetto Corsa into a driver.

    First steps: start the game and drive, run `acpilot record`, stop with Escape, then run `acpilot convert` on the
    folder that it names. No game at hand? `acpilot demo` does all of it with the
    practice game (which says how to install Panda3D, where that is missing).

    Settings are read from flags, then from the environment (ACPILOT_RECORD_FPS=20), then from acpilot.toml
    (a section per command: [record], fps = 20).
    """,
    version=__version__,
    config=[_Environment("ACPILOT_"), _SettingsFile("acpilot.toml", search_parents=True)],
    help_format="markdown",
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """Print a line as it is: paths are neither wrapped nor taken for markup."""
    console.print(line, markup=False, soft_wrap=True)


def show_fault(fault: AcpilotError) -> None:
    """Print a fault as the one line that it is."""
    errors.print(f"acpilot: {fault}", style="red", markup=False, soft_wrap=True)


@contextmanager
def faults_in_a_line() -> Iterator[None]:
    """End the program with exit code 1 and a line for a fault of the user's, with 130 and a line for Ctrl-C."""
    try:
        yield
    except AcpilotError as error:
        show_fault(error)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("acpilot: interrupted")
        sys.exit(130)


def raise_all(faults: list[AcpilotError]) -> None:
    """Show faults, if any, and end with the last of them."""
    for fault in faults[:-1]:
        show_fault(fault)
    if faults:
        raise faults[-1]


@app.command
def record(settings: RecordSettings = RecordSettings()) -> None:
    """Record a session: the car's inputs from the game's memory and the video of its window, on one clock.

    Waits for the game, then records until Escape (in any window), Ctrl-C, the duration, or the game's end.
    """
    from acpilot.recording.record import record as record_session
    from acpilot.recording.telling import report

    with status_line(console, "starting ...") as show:
        ending = record_session(settings, show)
    for line in report(ending.session):
        say(line)
    if ending.fault:
        kept = f"; what was recorded is kept in {ending.session.folder}"
        raise AcpilotError(f"{ending.fault}{'' if str(ending.session.folder) in str(ending.fault) else kept}")
    say(f"next      {command('acpilot', 'convert', ending.session.folder)}")


@app.command
def attach(session: Path, video: Path, /) -> None:
    """Complete a session with its video, when OBS recorded it on another machine.

    Args:
        session: The session's folder, such as ac_telemetry_data/20261122_191500.
        video: The file that OBS wrote; it is copied.
    """
    from acpilot.recording.completing import attach as attach_video
    from acpilot.recording.telling import report
    from acpilot.session.folder import Session

    opened = Session.open(session)
    with status_line(console, "reading ...") as show:
        fault = attach_video(opened, video, show)
    for line in report(opened):
        say(line)
    if fault:
        raise fault
    say(f"next      {command('acpilot', 'convert', session)}")


@app.command
def convert(
    sessions: Annotated[list[Path], Parameter(negative="")],
    /,
    settings: ConvertSettings = ConvertSettings(),
    engine: EngineSettings = EngineSettings(),
) -> None:
    """Turn recorded sessions into images and labels: processed_images/ and processed_data.csv in each folder.

    Can be interrupted and run again; a second run does nothing. Several sessions are converted at once.

    Args:
        sessions: Session folders, such as ac_telemetry_data/20261122_191500.
        settings: How to convert.
        engine: Where to convert several.
    """
    from acpilot.dataset.convert import Conversion, convert_folder
    from acpilot.session.folder import Session

    def tell(folder: Path, result: Conversion) -> None:
        session = Session(folder)
        for note in result.notes:
            say(f"note  {note}")
        if result.was_done:
            say(f"{folder}: nothing to do, {result.images} labelled images are there")
        else:
            left_out = f", {result.left_out} frames left out" if result.left_out else ""
            say(f"{folder}: {result.images} labelled images ({result.written} new){left_out}")
            say(f"look at them: {session.contact_sheet_file}")
        if result.lost:
            raise AcpilotError(
                f"{session.video_file} is truncated: it lacks {result.lost} frames, the others are converted"
            )

    raise_all(_on_each(partial(convert_folder, settings=settings), sessions, engine, tell))


def _on_each(
    work: "Work[T]", folders: list[Path], settings: EngineSettings, use: Callable[[Path, T], None]
) -> list[AcpilotError]:
    """Work on folders, hand on what came of each, as they end; the faults of the others."""
    from acpilot.dataset.engine import run

    faults = []
    title = folders[0].name if len(folders) == 1 else f"{len(folders)} folders"
    with progress_bar(console, title) as progress, closing(run(work, folders, settings, progress)) as outcomes:
        for outcome in outcomes:
            if outcome.lost:
                errors.print(f"note  {outcome.folder} was retried: its worker was lost", markup=False, soft_wrap=True)
            try:
                if isinstance(outcome.result, AcpilotError):
                    raise outcome.result
                use(outcome.folder, outcome.result)
            except AcpilotError as fault:
                faults.append(fault)
    return faults


@app.command
def check(
    folders: Annotated[list[Path], Parameter(negative="")],
    /,
    engine: EngineSettings = EngineSettings(),
    *,
    mark: bool = True,
    json: bool = False,
) -> None:
    """Check whether sessions or datasets are fit to be learnt from: a verdict a line, with the remedy.

    The exit code is 0 when all are fit, else 1. Pauses, pits, resets, off-track and AI-driven spells are marked, so
    that acpilot convert leaves them out.

    Args:
        folders: Session folders, or datasets of acpilot combine.
        engine: Where to check several.
        mark: Mark such spells; --no-mark only tells of them.
        json: Print JSON for scripts.
    """
    from acpilot.dataset.checking import check_folder, to_json

    ended: dict[Path, list[Finding]] = {}
    faults = _on_each(partial(check_folder, mark=mark), folders, engine, ended.__setitem__)
    checks = {folder: ended[folder] for folder in folders if folder in ended}
    if json:
        say(to_json(checks))
    for folder, findings in checks.items():
        if not json:
            say(f"{folder}")
            for finding in findings:
                say(
                    f"{finding.verdict:8} {finding.subject:16} {finding.text}"
                    + (f" -> {finding.remedy}" if finding.remedy else "")
                )
    unfit = [str(folder) for folder, findings in checks.items() if any(f.verdict == "unfit" for f in findings)]
    if unfit:
        faults.append(AcpilotError(f"unfit for training: {', '.join(unfit)}; see the lines that say unfit"))
    raise_all(faults)


@app.command
def mark(
    session: Path,
    /,
    *,
    exclude: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006 - cyclopts reads the default
    why: str = "by hand",
    remove: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006
) -> None:
    """Mark spells of a session that are not to be learnt from, or show the marks there are.

    Nothing is deleted: marks are kept in marks.json beside the data, and acpilot convert leaves out what they cover.

    Args:
        session: The session's folder.
        exclude: From and to, in seconds of the session (column timestamp): --exclude 12.5-18.0.
        why: Why, in a word: spin, traffic, ...
        remove: Marks to take back, from and to as they are shown: --remove 12.500-18.000.
    """
    from acpilot.session.folder import Session
    from acpilot.session.marks import change_marks

    opened = Session.open(session)
    marks = change_marks(opened, exclude, why, remove)
    for spell in marks:
        say(f"{spell.first:.3f}-{spell.last:.3f} s  {spell.why} (by {spell.by})")
    if not marks:
        say("no marks")
    if (exclude or remove) and opened.labels_file.exists():
        say(f"next      {command('acpilot', 'convert', session)}")


@app.command
def lag(
    session: Path,
    /,
    *,
    fix: Annotated[bool, Parameter(negative="")] = False,
    undo: Annotated[bool, Parameter(negative="")] = False,
    range_ms: Annotated[float, Parameter(validator=Number(gte=200, lte=20_000))] = 2000.0,
) -> None:
    """Estimate from the pictures alone how far a session's labels are off in time.

    How the picture turns is compared with how the car turned. Works on sessions of any tool, and says so when the
    pictures cannot tell.

    Args:
        session: The session's folder.
        fix: Re-align the labels by it; the old ones are kept as *_before_lag.csv, the recording is not changed.
        undo: Take an earlier --fix back.
        range_ms: Largest lag that is looked for, milliseconds.
    """
    from acpilot.dataset.lag import estimate_lag
    from acpilot.dataset.realign import realign, take_back
    from acpilot.session.folder import Session

    opened = Session.open(session)
    if fix and undo:
        raise AcpilotError("--fix and --undo contradict each other: give one of them")
    with progress_bar(console, session.name) as progress:
        if undo:
            corrected = take_back(opened, progress)
            found = None
        else:
            found = estimate_lag(opened, progress, range_ms)
            corrected = realign(opened, found, progress) if fix else False
    if found is None:
        say(f"{session}: " + ("the correction is taken back" if corrected else "there is no correction to take back"))
        return
    say(f"{session}: {found}")
    now, agreed = opened.correction / 1e6, found.is_met_by(opened)
    if corrected:
        say(
            f"labels are corrected by {now:+.1f} ms; the old ones are kept "
            f"({command('acpilot', 'lag', '--undo', session)} takes it back)"
        )
    elif now:
        say(f"labels are corrected by {now:+.1f} ms" + ("" if agreed else "; --fix corrects them anew"))
    elif found.milliseconds is not None:
        say(
            "the labels agree with the pictures"
            if agreed
            else f"next      {command('acpilot', 'lag', '--fix', session)}"
        )


@app.command
def combine(
    sessions: Annotated[list[Path], Parameter(negative="")], /, settings: CombineSettings = CombineSettings()
) -> None:
    """Make one dataset of converted sessions: complete_dataset.csv, images, splits, weights and a dataset card.

    Run it again with more sessions to add them; those that are there are left as they are.

    Args:
        sessions: Session folders that acpilot convert has converted.
        settings: How to combine.
    """
    from acpilot.dataset.combine import combine as combine_sessions
    from acpilot.session.folder import Session

    with progress_bar(console, settings.out.name) as progress:
        result = combine_sessions([Session.open(folder) for folder in sessions], settings, progress)
    say(f"{settings.out}: {', '.join(f'{rows} {split}' for split, rows in sorted(result.rows.items()))} rows")
    say(f"new       {', '.join(result.added) or 'nothing: all sessions were there'}")
    for note in result.notes:
        say(f"note  {note}")
    if "validation" not in result.rows and result.dataset.record["settings"]["validation"]:
        say("note  nothing is held out for validation: there is only one group of frames; add a session or a lap")
    say(f"read      {result.dataset.card_file}")


@app.command
def export(dataset: Path, /, settings: ExportSettings = ExportSettings()) -> None:
    """Write a dataset for other tools: a LeRobotDataset v3.0, or Parquet files.

    The dataset is left as it is. A second run does nothing; when the dataset has grown, the export is made anew.

    Args:
        dataset: A dataset of acpilot combine.
        settings: To what, and how.
    """
    from acpilot.dataset.dataset import Dataset
    from acpilot.dataset.export import export as export_dataset

    with progress_bar(console, dataset.name) as progress:
        result = export_dataset(Dataset.open(dataset), settings, progress)
    for note in result.notes:
        say(f"note  {note}")
    say(f"{result.folder}: {result.held or 'nothing to do, it is the export of this dataset'}")
    say(f"read      {result.folder / 'README.md'}")


@app.command
def train(dataset: Path, /, settings: TrainSettings = TrainSettings()) -> None:
    """Train a policy on a dataset: a network that looks at the road and steers, accelerates and brakes.

    What drives is model.onnx in the folder given with --out; look at what_it_sees.png, losses.png and predictions.png
    beside it. Can be interrupted: the same command goes on, and ends with the same weights.

    Args:
        dataset: A dataset of acpilot combine.
        settings: How to train.
    """
    from acpilot.dataset.dataset import Dataset
    from acpilot.learning.training import train as train_policy

    console.quiet = os.environ.get("RANK", "0") != "0"  # of the processes that torchrun starts one speaks
    with progress_bar(console, dataset.name) as progress:
        result = train_policy(Dataset.open(dataset), settings, progress, say)
    best, policy = result.best, result.folder
    if result.done_before:
        say(f"{policy.folder}: nothing to do, this training is finished")
    else:
        say(f"{policy.onnx_file}: the weights of epoch {result.record['best_epoch']} of {len(result.record['epochs'])}")
    if "validation" in best:
        say(f"off by    {best['steering_error']:.4f} of the steering on average, where held out")
    else:
        say("note  nothing is held out for validation: nothing says how good it is; add a session or a lap")
    if result.note:
        say(f"note  {result.note}")
    say(f"look at   {policy.sight_file}, {policy.losses_file.name}, {policy.predictions_file.name}")


@app.command
def report(folder: Path, /) -> None:
    """Write the report of a session or a dataset: one HTML page with plots, contact sheet and the checks.

    The page needs nothing but itself: it can be sent to others. Labels are shown as acpilot convert made them.

    Args:
        folder: A session's folder, such as ac_telemetry_data/20261122_191500, or a dataset's.
    """
    from acpilot.dataset.report import report as write_report

    with progress_bar(console, folder.name) as progress:
        path = write_report(folder, progress)
    say(str(path))


@app.command
def view(session: Path, /, *, save: Path | None = None) -> None:
    """Show a session in the Rerun viewer: pictures with labels, inputs, speed and track position on one timeline.

    Args:
        session: The session's folder, such as ac_telemetry_data/20261122_191500.
        save: Write a file (name it FILE.rrd) for the viewer instead of opening it.
    """
    from acpilot.dataset.view import save as save_session
    from acpilot.dataset.view import show
    from acpilot.session.folder import Session

    opened = Session.open(session)
    with progress_bar(console, session.name) as progress:
        if save is None:
            show(opened, progress)
        else:
            save_session(opened, save, progress)
    if save is not None:
        say(f"{save}")
        say(f"next      {command('rerun', save)}")


@app.command
def replay(session: Path, /, settings: ReplaySettings = ReplaySettings()) -> None:
    """Replay a session as if the game ran: its memory pages move and its window shows the pictures, on one clock.

    So any tool for Assetto Corsa can be developed and tested without the game. Ends with the session, with Ctrl-C, or
    with Escape in the window.

    Args:
        session: The session's folder, such as ac_telemetry_data/20261122_191500.
        settings: How to replay it.
    """
    from acpilot.replay.replaying import replay as replay_session
    from acpilot.session.folder import Session

    with status_line(console, f"reading {session} ...") as show:
        lines = replay_session(Session.open(session), settings, say, show)
    for line in lines:
        say(line)


@app.command
def doctor(
    settings: RecordSettings = RecordSettings(),
    *,
    prove: Annotated[bool, Parameter(negative="")] = False,
    injected_delay_ms: Annotated[float, Parameter(validator=Number(gte=-1000, lte=1000))] = 0.0,
) -> None:
    """Check game pages, window, OBS, disk, stop key, gamepad and models, with the remedy for each fault.

    Takes the settings of record. The exit code is 0 when a session can be recorded, else 1.

    Args:
        settings: As for a recording.
        prove: Prove instead that labels are right on this machine: a window with a clock is recorded for 10 s through
            every recorder that is there, and read back. Needs no game; leave the machine alone meanwhile.
        injected_delay_ms: With --prove, let the clock be wrong by so many milliseconds, to see that it is found.
    """
    if prove:
        _prove(settings, injected_delay_ms)
        return
    from acpilot.driving.doctor import examine as examine_driving
    from acpilot.recording.doctor import examine

    faults = 0
    for finding in chain(examine(settings), examine_driving()):
        say(f"{finding.verdict:5} {finding.subject:10} {finding.text}")
        faults += finding.verdict == "fault"
    if faults:
        raise AcpilotError(f"{faults} of the things that a recording needs are missing: see the lines that say fault")


def _prove(settings: RecordSettings, behind_ms: float) -> None:
    from acpilot.recording.proof_picture import draw_proofs
    from acpilot.recording.proving import prove

    proofs = []
    with status_line(console, "opening a clock ...") as show:
        for proof in prove(settings, behind_ms, show):
            say(f"{proof.verdict:5} {proof.recorder}: {proof.text}")
            proofs.append(proof)
    try:
        say(f"look at   {draw_proofs(proofs, Path('acpilot_proof.png'))}")
    except AcpilotError as fault:
        say(f"note  {fault}")
    if wrong := [proof.recorder for proof in proofs if proof.verdict == "wrong"]:
        raise AcpilotError(f"labels are not right here through {' and '.join(wrong)}: choose another recorder")
    if not any(proof.verdict == "right" for proof in proofs):
        raise AcpilotError("no recorder could be proven to be right here: see the lines that say fault")


@app.command
def practice(settings: PracticeSettings = PracticeSettings()) -> None:
    """Start the practice game: a track, a car and a window that publish the same memory pages as Assetto Corsa.

    Drive with the arrow keys or WASD, a gamepad, or let the expert drive (--driver expert). R puts the car back on
    the track, P pauses.
    """
    from acpilot.practice.game import play

    play(settings, say)


@app.command
def drive(settings: DriveSettings = DriveSettings()) -> None:
    """Let a policy drive the game: it sees the window and moves a gamepad, until Escape (in any window) or Ctrl-C.

    Bind the game to the gamepad first (acpilot gamepad-test), start this, get on the track. Once a second a line says
    how it goes. With Escape and Ctrl-C the controls come to rest and the gamepad is released, and so when the window is
    closed or minimised, or when the game hangs or the policy fails. While the game is paused or its window covered, the
    controls are at rest; then it goes on. With --takeover wheel or --takeover keys you can correct it at any time.

    A dry run that moves nothing: --gamepad none. In the practice game (acpilot practice --driver virtual): --gamepad
    virtual.
    """
    from acpilot.driving.drive import drive as drive_game

    with status_line(console, "loading the policy ...") as show:
        ending = drive_game(settings, (lambda _: None) if settings.json else say, show)
    if settings.json:
        say(dumps(vars(ending.report), indent=2))
    else:
        for line in ending.report.lines():
            say(line)
        if ending.session is not None:
            verb = "convert" if ending.report.takeovers else "check"  # the driver's corrections can be learnt from
            say(f"next      {command('acpilot', verb, ending.session.folder)}")
    if ending.fault:
        raise ending.fault


@app.command
def evaluate(policy: str, /, settings: EvaluateSettings = EvaluateSettings()) -> None:
    """Let a policy drive the practice game and tell how well: autonomy, laps, distance from the expert's line.

    It drives off-screen, faster than real time; the same command gives the same figures. The car is put back on the
    expert's line (an intervention) when its middle leaves the road, when it faces backwards, or when it is stuck.
    Autonomy is (1 - interventions x 6 s / elapsed time) x 100 %, as in NVIDIA's PilotNet paper.

    Args:
        policy: A policy's file, such as best_save/model.onnx or the TensorFlow checkpoint best_save/model.ckpt; expert,
            for the figures of the practice game's own driver; or package.module:factory, a function of yours that
            returns a policy (it is run).
        settings: Where, and how.
    """
    from acpilot.evaluation.evaluate import evaluate as evaluate_policy
    from acpilot.evaluation.summary import summary

    with progress_bar(console, policy) as progress:
        evaluation = evaluate_policy(policy, settings, progress)
    if settings.json:
        say(evaluation.record.rstrip())
        return
    for line in summary(evaluation):
        say(line)
    say(f"look at   {evaluation.folder}")


@app.command
def improve(policy: Path, dataset: Path, /, settings: ImproveSettings = ImproveSettings()) -> None:
    """Improve a policy by its own driving (DAgger): what it meets is labelled with the expert's answer and learnt.

    A policy that has seen a few tracks does not know others. In each round it drives new ones of the practice game
    off-screen, while the expert says what it should have done, and how fast; then the expert drives them. That is added
    to the dataset, the training goes on (with the speed of both, and the expert's own steering), and the autonomy is
    measured on tracks that it has not learnt from. The last round's model.onnx is kept, but for rounds that drove worse
    than another by more than chance makes likely.

    Policy and dataset are left as they are: all is written to the folder given with --out. Can be interrupted: the
    same command goes on, and ends with the same policy.

    Args:
        policy: A folder of acpilot train, such as best_save.
        dataset: The dataset that it was trained on.
        settings: Where to drive, and how to learn.
    """
    from acpilot.dataset.dataset import Dataset
    from acpilot.evaluation.improve import improve as improve_policy

    with progress_bar(console, settings.out.name) as progress:
        result = improve_policy(policy, Dataset.open(dataset), settings, progress, say)
    if result.done_before:
        say(f"{settings.out}: nothing to do, these rounds are done; --rounds adds more")
    say(f"{result.folder.policy.onnx_file}: the policy of round {result.best}")
    say(f"rounds    {result.folder.record_file}")
    say(f"look at   {result.folder.evaluation(result.best)}")


@app.command
def gamepad_test(settings: GamepadTestSettings = GamepadTestSettings()) -> None:
    """Move each axis of the gamepad in turn, so that it can be bound in the game's control settings.

    A game binds the axis that it sees moving: start this, go to the game, and let it bind steering, throttle and
    brake while each moves (--axis steering moves only that one). The gamepad is there as long as this runs, and
    again whenever acpilot drives.

    Args:
        settings: Which gamepad, and what to move.
    """
    from acpilot.driving.axis_test import move_axes

    with status_line(console, "connecting ...") as show:
        reason = move_axes(settings, say, show)
    say(f"stopped by {reason}: the gamepad is at rest and disconnected")


@app.command
def demo(settings: DemoSettings = DemoSettings()) -> None:
    """Record the practice game's expert through the real window and convert it: the whole walk, without the game."""
    from acpilot.demo import run_demo

    run_demo(settings, console, say)


def main() -> None:
    """Run the command line: a fault of the user's is one line and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # into a pipe, Windows writes only the letters of its own language
            stream.reconfigure(errors="replace")
    with faults_in_a_line():
        app(console=console, error_console=errors)
