"""Terraform's own checks: format, names and types by the provider's schema, and infra/tests.

Without a provider registry they run against a stand-in that knows the schema of hashicorp/google (tfcheck).
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.conftest import SHARED
from tests.infra.hcl import INFRA

TFCHECK = SHARED / "tools" / "tfcheck" / "tfcheck.py"


@pytest.mark.skipif(not TFCHECK.is_file(), reason="tfcheck is not at ../shared/tools: nothing to check Terraform with")
@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on PATH")
def test_terraform_finds_nothing_wrong() -> None:
    checked = subprocess.run([sys.executable, TFCHECK, INFRA], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, f"{checked.stdout[-6000:]}\n{checked.stderr[-2000:]}"
    assert "0 failed" in checked.stdout, "infra/tests did not run"
