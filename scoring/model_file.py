"""A fitted estimator as a text: canonical JSON, the hash of its content, and the libraries that it depends on."""

import hashlib
import json
from typing import Any

import numpy as np
import sklearn

from scoring.errors import ScoringError

LIBRARIES = {"numpy": np.__version__, "scikit-learn": sklearn.__version__}


class ModelFileUnreadable(ScoringError):
    """A model file is damaged, or holds another kind of estimator."""

    code = "model_file_unreadable"


class ModelFormatOld(ModelFileUnreadable):
    """A model is whole, but of a format, with features or with parts that this release does not read."""

    code = "model_format_old"


class ModelFileHashMismatch(ScoringError):
    """A model file's content does not have the hash that it names."""

    code = "model_file_hash_mismatch"


class LibraryMismatch(ScoringError):
    """A model file was written under another version of a library, so its scores could differ."""

    code = "model_file_library_mismatch"


def write(kind: str, body: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the one text of an estimator; floats are written so that they read back bit for bit."""
    content = _canonical({"kind": kind, "libraries": LIBRARIES, "body": body})
    return f'{{"content":{content},"sha256":"{_digest(content)}"}}'


def read(text: str, *, kind: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the body that `write` wrote. Refuses: ModelFileUnreadable, ModelFileHashMismatch, LibraryMismatch."""
    try:
        outer = json.loads(text)
        content, named = outer["content"], outer["sha256"]
        found = _digest(_canonical(content))
        known, libraries, body = content["kind"], content["libraries"], content["body"]
    except (KeyError, TypeError, ValueError) as fault:
        raise ModelFileUnreadable(repr(fault)) from fault
    if found != named:
        raise ModelFileHashMismatch(f"named {named}, content {found}")
    if known != kind:
        raise ModelFileUnreadable(f"holds a {known}, not a {kind}")
    if libraries != LIBRARIES:
        raise LibraryMismatch(f"written under {libraries}, read under {LIBRARIES}: fit it again")
    return body


def _canonical(body: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
