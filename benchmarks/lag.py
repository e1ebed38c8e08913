"""How well is a session's lag told from its pictures? Practice sessions, shifted by known amounts."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from acpilot.dataset.lag import estimate_lag
from practice_session import make_session, shifted


def main() -> None:
    """Drive sessions, shift each, estimate, and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", nargs="+", default=["allround", "fast", "twisty"])
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--fps", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--disturbance",
        type=float,
        default=0.6,
        help="of the expert; 0 with --original: yaw is then made of the steering",
    )
    parser.add_argument("--shifts", type=float, nargs="+", default=np.arange(-300, 301, 50).tolist())
    parser.add_argument("--original", action="store_true", help="in the form of the original tool: no yaw, no instants")
    arguments = parser.parse_args()
    errors, held, half_widths, silent = [], [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for track in arguments.tracks:
            session = make_session(
                Path(folder) / track,
                track=track,
                seconds=arguments.seconds,
                seed=arguments.seed,
                disturbance=arguments.disturbance,
                fps=arguments.fps,
            )
            mine = []
            for i, shift in enumerate(arguments.shifts):
                copy = shifted(session, shift, Path(folder) / f"{track}_{i}", original=arguments.original)
                lag = estimate_lag(copy, lambda *_: None)
                if lag.milliseconds is None:
                    silent += 1
                    print(f"{track}, shifted by {shift:+.0f} ms: {lag}")
                    continue
                mine.append(lag.milliseconds + shift)
                held.append(lag.low <= -shift <= lag.high)
                half_widths.append((lag.high - lag.low) / 2)
            errors += mine
            if mine:
                print(f"{track:10} errors {min(mine):+.1f} … {max(mine):+.1f} ms", flush=True)
    print(
        f"{len(errors)} estimates, {silent} times it could not tell; error median {np.median(np.abs(errors)):.1f}, "
        f"largest {np.max(np.abs(errors)):.1f} ms; the interval (± {np.median(half_widths):.0f} ms) held the truth in "
        f"{np.mean(held):.1%}"
    )


if __name__ == "__main__":
    main()
