"""Makes a dataset and exports it through the command, in acpilot's own environment: python make_exports.py FOLDER."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_combine import combine
from test_export import export, write_drive


def main(folder: Path) -> None:
    sessions = [write_drive(folder, "first"), write_drive(folder, "second", laps=3, colours=True)]
    code, output = combine([session.folder for session in sessions], folder / "dataset", "--validation", "0.4")
    assert code == 0, output
    for name, *flags in (("encode",), ("copy", "--video", "copy"), ("parquet", "--to", "parquet")):
        code, output = export(folder / "dataset", "--out", str(folder / name), *flags)
        assert code == 0, output
        sys.stdout.write(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
