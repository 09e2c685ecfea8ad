"""Starts the emulator of Firebase Authentication, which is in npm's firebase-tools and needs Node alone.

`local/firebase/package-lock.json` pins it; npm puts it into `.cache` once (half a minute, 240 MB). Nobody has to
have Node: `missing` says what cannot be had without. Its tokens are not signed: with
FIREBASE_AUTH_EMULATOR_HOST set, firebase-admin verifies no signature, which `Settings` refuses in the cloud.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from local import ROOT
from local.emulators import Emulator, MissingTool, start_program
from local.processes import LOOPBACK, Processes, free_port

VARIABLE = "FIREBASE_AUTH_EMULATOR_HOST"
OLDEST_NODE = 20

_PACKAGE = ROOT / "local" / "firebase"
_CACHE = ROOT / ".cache"
_INSTALL_S = 600
_DONE = ".installed"


def missing() -> str:
    """What of Node is not there, in a sentence; empty if nothing is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return f"{'node' if node is None else 'npm'} is not on PATH: no emulator of Firebase Authentication"
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", said)
    if version is None or int(version[1]) < OLDEST_NODE:
        return f"Node {OLDEST_NODE} or newer is not on PATH ({said.strip()}): no emulator of Firebase Authentication"
    return ""


def install() -> Path:
    """The folder the Firebase CLI is installed in, installed now if it is not yet. Raises MissingTool.

    Programs that ask at the same time wait for the one that installs.
    """
    if reason := missing():
        raise MissingTool(reason)
    lock_file = (_PACKAGE / "package-lock.json").read_bytes()
    target = _CACHE / f"firebase-{sha256(lock_file).hexdigest()[:12]}"
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "firebase.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / _DONE).exists():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_PACKAGE / name, target)
            command = ["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]
            ran = subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
            if ran.returncode:
                raise MissingTool(f"npm could not install the Firebase CLI:\n{ran.stderr.strip()}")
            (target / _DONE).touch()
    return target


def start_auth(processes: Processes, project: str, port: int = 0) -> Emulator:
    """The emulator of Firebase Authentication. Raises MissingTool, ProcessFailed.

    project: whose users a client without a project of its own asks for. port: 0 for any that is free.
    """
    program = install() / "node_modules" / "firebase-tools" / "lib" / "bin" / "firebase.js"
    folder = processes.logs / "auth-emulator"
    folder.mkdir(exist_ok=True)
    config = folder / "firebase.json"

    def command(on: int) -> list[str | Path]:
        emulators = {
            "auth": {"host": LOOPBACK, "port": on},
            "hub": {"host": LOOPBACK, "port": free_port()},
            "logging": {"host": LOOPBACK, "port": free_port()},
            "ui": {"enabled": False},
            "singleProjectMode": False,
        }
        config.write_text(json.dumps({"emulators": emulators}))
        start = ["emulators:start", "--only", "auth", "--non-interactive"]
        return ["node", program, *start, "--project", project, "--config", config]

    # A configuration of its own: whoever is logged in to Firebase here has nothing to do with it.
    env = {"XDG_CONFIG_HOME": str(folder)}
    process, address = start_program(processes, "auth-emulator", command, port, env=env, cwd=folder)
    return Emulator(address, VARIABLE, address, process)


if __name__ == "__main__":
    install()
