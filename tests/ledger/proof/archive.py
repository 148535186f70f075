"""A small exchange's proofs, made of seeds alone: tape, log, key chain, checkpoint, pack; always the same bytes."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.canonical import canonical_bytes
from ledger.encoding import base64_standard, base64url
from ledger.keys import FileSigner, jwks
from ledger.merkle import inclusion_ranges, leaf_hash, root
from ledger.notes import Cosigner, NoteSigner, Proof, TreeHead, checkpoint_text, proof_text
from ledger.records import SealedRecord, open_record, seal
from ledger.tiles import TILE_WIDTH, TileAddress, encode_bundle, tile_path
from ledger.verify.record import leaf_of

START = 1_767_225_600  # 2026-01-01T00:00:00Z
ONE, TWO = (FileSigner.from_seed(bytes([number]) * 32) for number in (1, 2))
LOG = NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32))
LOG_KEY = FileSigner.from_seed(bytes([3]) * 32)
WITNESS = Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes([4]) * 32))
POLICY = f"log {LOG.verifier.vkey}\nwitness w1 {WITNESS.verifier.vkey}\nquorum w1\n"
Event = tuple[str, str, dict[str, Any], dict[str, Any]]

EVENTS: tuple[Event, ...] = (
    ("keys", "key.introduced", {"use": "record", "key": ONE}, {}),
    ("keys", "key.activated", {"use": "record", "key": ONE}, {}),
    ("keys", "key.introduced", {"use": "record", "key": TWO}, {}),
    ("keys", "key.introduced", {"use": "log", "key": LOG_KEY}, {}),
    ("keys", "key.activated", {"use": "log", "key": LOG_KEY}, {}),
    (
        "ast_1",
        "asset.confirmed",
        {"face_minor": 10_000, "currency": "CNY", "goods": "聚丙烯 PP", "confirmation": {"date": "2026-01-01"}},
        {"seller": "platform:seller-1", "obligor": "platform:plant-1", "documents": [{"kind": "invoice"}]},
    ),
    (
        "ast_2",
        "asset.confirmed",
        {"face_minor": 900, "confirmation": {"date": "2026-01-01"}},
        {"seller": "platform:s2"},
    ),
    (
        "ast_1",
        "asset.assigned",
        {"holder": "fnd_1", "pool": "pool_1", "effective_date": "2026-01-03"},
        {"price_minor": 9_900},
    ),
    ("ast_2", "asset.split", {"parts": ["ast_3", "ast_4"], "effective_date": "2026-01-02"}, {}),
    ("ast_3", "asset.split_off", {"parent": "ast_2", "effective_date": "2026-01-02"}, {"holder": "platform:s2"}),
    ("ast_4", "asset.split_off", {"parent": "ast_2", "effective_date": "2026-01-02"}, {"holder": "platform:s2"}),
    ("ast_4", "asset.transferred", {"effective_date": "2026-01-05"}, {"holder": "platform:s3"}),
    ("ast_1", "asset.corrected", {"corrects": 1, "reason": "typo", "due_date": "2026-04-01"}, {}),
    ("ast_1", "asset.released", {"reason": "paid", "effective_date": "2026-02-01"}, {}),
)


def salt(name: str) -> bytes:
    """Sixteen bytes that only the name decides."""
    return hashlib.sha256(name.encode()).digest()[:16]


class Archive:
    """Events, sealed in order: records with their places, log entries, and whatever is made of them."""

    def __init__(self, events: Sequence[Event] = EVENTS, *, signer: FileSigner = ONE) -> None:
        self.records: list[tuple[str, int, SealedRecord]] = []
        self.leaves: list[bytes] = []
        for asset, kind, members, hidden in events:
            self.add(asset, kind, members, hidden, signer=signer)

    def add(
        self, asset: str, kind: str, members: dict[str, Any], hidden: dict[str, Any], *, signer: FileSigner = ONE
    ) -> None:
        """Seal and log one event."""
        chain = [record for name, _, record in self.records if name == asset]
        body = members | {
            "type": kind,
            "asset": asset,
            "sequence": len(chain) + 1,
            "prev": chain[-1].digest.hex() if chain else None,
            "recorded_at": START + len(self.records),
        }
        if isinstance(body.get("key"), FileSigner):
            key = body["key"].public_jwk
            body |= {"kid": key["kid"], "key": {name: key[name] for name in ("kty", "crv", "x")}}
        if "corrects" in body:
            corrected = body["corrects"]
            body["corrects"] = {"sequence": corrected, "record": chain[corrected - 1].digest.hex()}
        place = f"{asset}/{len(chain) + 1}/"
        sealed = seal(body, disclosable=hidden, signer=signer, salt=lambda name: salt(place + name))
        record = open_record(sealed.jws, keys={signer.kid: signer.public_key})
        self.records.append((asset, len(chain) + 1, sealed))
        self.leaves.append(leaf_of(record, digest=sealed.digest))

    def line(self, index: int) -> bytes:
        """The record at a place of the log, as a line of the tape."""
        record = self.records[index][2]
        return canonical_bytes({"disclosures": list(record.disclosures), "index": index, "jws": record.jws}) + b"\n"

    def tape(self) -> bytes:
        """Every record, sorted by asset and sequence."""
        order = sorted(range(len(self.records)), key=lambda index: self.records[index][:2])
        return b"".join(map(self.line, order))

    def checkpoint(self, size: int | None = None, *, log: NoteSigner = LOG, time_s: int | None = START + 100) -> str:
        """The log's signed state, with the witness's cosignature unless `time_s` is None."""
        hashes = [leaf_hash(leaf) for leaf in self.leaves[:size]]
        text = checkpoint_text(TreeHead(log.name, len(hashes), root(hashes)))
        return log.sign(text) + ("" if time_s is None else WITNESS.cosign(text, time_s=time_s))

    def proof(self, index: int, *, extra: bool = True) -> str:
        """The proof file of an entry."""
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        path = tuple(root(hashes[begin:end]) for begin, end in inclusion_ranges(index, size=len(hashes)))
        return proof_text(Proof(index, path, self.checkpoint(), self.leaves[index] if extra else b""))

    def record_file(self, index: int, *, proof: bool = True) -> bytes:
        """A record as a file of its own."""
        members = json.loads(self.line(index)) | ({"proof": self.proof(index)} if proof else {})
        return canonical_bytes(members)

    def key_set(self) -> bytes:
        """Every record key."""
        return json.dumps(jwks([ONE.public_key, TWO.public_key])).encode()

    def write_log(self, folder: Path) -> None:
        """A copy of the log, as it is served."""
        put(folder, "checkpoint", self.checkpoint().encode())
        for start in range(0, len(self.leaves), TILE_WIDTH):
            entries = self.leaves[start : start + TILE_WIDTH]
            put(folder, tile_path(TileAddress(None, start // TILE_WIDTH, len(entries))), encode_bundle(entries))
        level, hashes = 0, [leaf_hash(leaf) for leaf in self.leaves]
        while hashes:
            for start in range(0, len(hashes), TILE_WIDTH):
                tile = hashes[start : start + TILE_WIDTH]
                put(folder, tile_path(TileAddress(level, start // TILE_WIDTH, len(tile))), b"".join(tile))
            full = len(hashes) // TILE_WIDTH
            hashes = [root(hashes[place * TILE_WIDTH : (place + 1) * TILE_WIDTH]) for place in range(full)]
            level += 1

    def write_pack(self, folder: Path, *, scope: str = "exchange", tape: bytes | None = None) -> None:
        """A pack of all of it, with books of one transfer."""
        self.write_log(folder / "log")
        put(folder, "keys.json", self.key_set())
        put(folder, "policy.txt", POLICY.encode())
        put(folder, "records.ndjson.gz", packed(self.tape() if tape is None else tape))
        for name, rows in books().items():
            put(folder, f"books/{name}.ndjson.gz", packed(lines(rows)))
        put(folder, "tables/offer.ndjson.gz", packed(lines([{"offer_id": "ofr_1"}])))
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        log = {"origin": LOG.name, "root": base64_standard(root(hashes)), "size": len(hashes)}
        finish(folder, {"scope": scope, "log": log})


def books() -> dict[str, list[dict[str, Any]]]:
    """Rows of books in which money and title change hands once, and one request was refused."""
    amounts = (-900, 900, -5, 5)
    names = [
        ("bank/collection", "CNY/2"),
        ("seller/1/cash", "CNY/2"),
        ("assets/issued", "ast_1"),
        ("funder/1", "ast_1"),
    ]
    accounts = enumerate(zip(names, amounts, strict=True), start=1)
    return {
        "accounts": [
            {"account_id": number, "path": path, "commodity": commodity, "version": 1, "balance_minor": amount}
            for number, ((path, commodity), amount) in accounts
        ],
        "transfers": [
            {"transfer_id": 1, "key": "refused", "refusal": {"code": "insufficient_funds"}},
            {"transfer_id": 2, "key": "purchase", "refusal": None},
        ],
        "legs": [
            {
                "transfer_id": 2,
                "leg": number,
                "account_id": number,
                "version": 1,
                "amount_minor": amount,
                "balance_after_minor": amount,
            }
            for number, amount in enumerate(amounts, start=1)
        ],
    }


def finish(folder: Path, facts: dict[str, Any] | None = None, *, signer: FileSigner = ONE) -> None:
    """Write the manifest over what is in the folder, and sign it; `facts` None keeps those it has."""
    if facts is None:
        old = json.loads((folder / "manifest.json").read_bytes())
        facts = {name: old[name] for name in ("scope", "log")}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("manifest.")]
    files = {path.relative_to(folder).as_posix(): _described(path) for path in paths}
    told = {"format": "exchange-pack/1", "made_at": "2026-01-01T00:05:00Z", **facts}
    sign(folder, told | {"files": files, "left_out": {}, "revision": "0009"}, signer=signer)


def sign(folder: Path, manifest: dict[str, Any], *, signer: FileSigner = ONE) -> None:
    """Write a manifest, and sign it."""
    data = canonical_bytes(manifest)
    statement = {name: manifest[name] for name in ("format", "made_at", "scope")}
    statement["manifest"] = hashlib.sha256(data).hexdigest()
    put(folder, "manifest.json", data)
    put(folder, "manifest.jws", jws(canonical_bytes(statement), "pack.manifest+jws", signer=signer) + b"\n")


def jws(payload: bytes, typ: str, *, signer: FileSigner = ONE) -> bytes:
    """A compact JWS over any payload."""
    header = canonical_bytes({"alg": "EdDSA", "kid": signer.kid, "typ": typ})
    signing_input = f"{base64url(header)}.{base64url(payload)}".encode()
    return signing_input + b"." + base64url(signer.sign(signing_input)).encode()


def put(folder: Path, name: str, data: bytes) -> None:
    """Write a file below a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def packed(data: bytes) -> bytes:
    """Gzip, the same for the same data."""
    return gzip.compress(data, mtime=0)


def lines(rows: Sequence[object]) -> bytes:
    """One JSON text a line."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def altered(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file of a pack, and let the manifest be right about it again: what an insider could do."""
    put(folder, name, change((folder / name).read_bytes()))
    finish(folder)


def _described(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    told: dict[str, Any] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if path.name.endswith(".ndjson.gz"):
        told["rows"] = gzip.decompress(data).count(b"\n")
    return told
