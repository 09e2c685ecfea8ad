"""Gives an account a role: by this the first admin is made, who gives the others theirs over HTTP.

    python -m pitwall.api.roles someone@example.com admin
    python -m pitwall.api.roles <uid> none

It needs GOOGLE_CLOUD_PROJECT and credentials that may administer Firebase Authentication (`gcloud auth
application-default login`), or FIREBASE_AUTH_EMULATOR_HOST. The account has to have signed in once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pitwall.api.errors import Problem
from pitwall.api.firebase import Firebase, Role
from pitwall.settings import Settings, SettingsError

NONE = "none"


def main(arguments: Sequence[str]) -> int:
    """Runs the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pitwall.api.roles", description="Gives an account a role.")
    parser.add_argument("account", help="the e-mail address or the uid of the account")
    parser.add_argument("role", choices=[*(role.value for role in Role), NONE])
    given = parser.parse_args(arguments)
    try:
        firebase = Firebase(Settings.from_env().project)
        uid = firebase.uid_of(given.account) if "@" in given.account else given.account
        firebase.set_role(uid, None if given.role == NONE else Role(given.role))
    except (Problem, SettingsError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"Done: the role is {given.role}. It is in the ID tokens that are issued from now on.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
