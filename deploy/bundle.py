"""`python -m deploy.bundle`: the zip all functions are deployed from, the same bytes for the same sources.

In it are what functions/ holds and the hashed requirements.txt, at its root, as Google's builder wants them. Files are
in order of their names, stored as they are (a compressor may differ between machines), with one date and one mode for
all, so that neither machine, folder, umask, locale nor dates of the files show. Which of them runs as which function,
is said by infra/.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = Path("build/functions.zip")

KINDS = (".py", ".html", ".json")
"""Suffixes of what functions consist of."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""The first one a zip can hold."""
_MODE = 0o100644
_UNIX = 3


class BundleError(Exception):
    """There is nothing that could be deployed; the text says what is wrong."""


def sources(root: Path = ROOT) -> dict[str, Path]:
    """The files of the bundle by their names in it. root: the project's folder.

    What Python and editors leave behind is left out: hidden files, `__pycache__`, `*.pyc`, `*~`. Raises BundleError for
    a file that is missing, and for one of another kind: it would be missed only once it is deployed.
    """
    functions = root / "functions"
    found = {"requirements.txt": root / "requirements.txt", "main.py": functions / "main.py"}
    if missing := [path for path in found.values() if not path.is_file()]:
        raise BundleError(f"not there: {', '.join(map(str, missing))}")
    for path in functions.rglob("*"):
        name = path.relative_to(functions)
        if any(part.startswith(".") or part == "__pycache__" for part in name.parts) or path.name.endswith(
            (".pyc", "~")
        ):
            continue
        if path.is_symlink():
            raise BundleError(f"{path} is a link: the bundle holds files only")
        if path.is_dir():
            continue
        if path.suffix not in KINDS:
            raise BundleError(f"{path}: functions consist of {', '.join(KINDS)}; is it part of them?")
        found[name.as_posix()] = path
    return found


def write(out: Path, files: Mapping[str, Path]) -> str:
    """Writes the bundle, whole or not at all; its SHA-256 in hexadecimal digits. Raises OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=out.name, dir=out.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as bundle:
                for name in sorted(files):
                    entry = zipfile.ZipInfo(name, _DATE)
                    entry.create_system = _UNIX
                    entry.external_attr = _MODE << 16
                    bundle.writestr(entry, files[name].read_bytes())
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        unfinished.chmod(0o644)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return digest


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.bundle",
        description="Writes the zip all functions are deployed from, and prints its SHA-256 and its path. "
        "The same sources give the same bytes on any machine.",
        epilog="exit code: 0 written, 1 not written, 2 wrong words.",
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="ZIP", help="where to (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        files = sources()
        digest = write(given.out, files)
    except (BundleError, OSError) as error:
        sys.stderr.write(f"no bundle was written: {error}\n")
        return 1
    sys.stdout.write(f"{digest}  {given.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
