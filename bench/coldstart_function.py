"""What `bench.coldstart` compares with: the least a function on Firestore can be."""

from __future__ import annotations

import os
from typing import Any

import functions_framework
from google.cloud import firestore

client = firestore.Client(project=os.environ["GOOGLE_CLOUD_PROJECT"])


@functions_framework.http
def empty(_: Any) -> str:
    return "ok"
