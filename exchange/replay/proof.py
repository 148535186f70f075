"""One record checked without any code of the exchange's own: RFC 7515, 8037, 6962 and C2SP in forty lines.

Written as an auditor would write it, from the published formats; on purpose nothing of `ledger` is used.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check_record(jws: str, *, jwks: Mapping[str, Any], log_key: str, proof: str) -> dict[str, Any]:
    """Check signature, log entry, inclusion and checkpoint; gives the record's payload.

    `jws` is the record, `jwks` the published keys, `log_key` the log's vkeys, the current one first, `proof` a
    tlog-proof file with the entry in it. Raises ValueError or `cryptography`'s InvalidSignature when anything does
    not hold.
    """
    payload = _check_signature(jws, jwks)
    entry, index, path, note = _parse_proof(proof)
    if json.loads(entry)["record"] != hashlib.sha256(jws.encode()).hexdigest():
        raise ValueError("the log entry is about another record")
    size, root = _check_note(note, log_key)
    if _root(hashlib.sha256(b"\0" + entry).digest(), index, size, path) != root:
        raise ValueError("the entry is not in the log")
    return payload


def _check_signature(jws: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    header, payload, signature = jws.split(".")
    kid = json.loads(_b64url(header))["kid"]
    (key,) = (key for key in jwks["keys"] if key["kid"] == kid)
    public = Ed25519PublicKey.from_public_bytes(_b64url(key["x"]))
    public.verify(_b64url(signature), f"{header}.{payload}".encode())
    body: dict[str, Any] = json.loads(_b64url(payload))
    return body


def _parse_proof(proof: str) -> tuple[bytes, int, list[bytes], str]:
    head, _, note = proof.partition("\n\n")
    title, *lines = head.split("\n")
    if title != "c2sp.org/tlog-proof@v1" or not lines[0].startswith("extra "):
        raise ValueError("not a proof file with its entry")
    entry, index = base64.b64decode(lines[0].removeprefix("extra ")), int(lines[1].removeprefix("index "))
    return entry, index, [base64.b64decode(line) for line in lines[2:]], note


def _check_note(note: str, log_key: str) -> tuple[int, bytes]:
    name, _, rest = log_key.partition("\n")[0].partition("+")
    key = base64.b64decode(rest.partition("+")[2])
    text, _, signatures = note.partition("\n\n")
    lines = [line for line in signatures.splitlines() if line.startswith(f"\u2014 {name} ")]
    key_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    ours = [one for line in lines if (one := base64.b64decode(line.rpartition(" ")[2]))[:4] == key_id]
    if key[0] != 1 or len(ours) != 1:
        raise ValueError("another key")
    (signed,) = ours
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signed[4:], f"{text}\n".encode())
    _, size, root = text.split("\n")[:3]
    return int(size), base64.b64decode(root)


def _root(node: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2)."""
    last = size - 1
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if index % 2 or index == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while not index % 2 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return node


def _b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
