"""The log as `aics-tlog` sees it: checkpoint, every tile and bundle, inclusion by a proof file's hashes, growth."""

import base64
import json
import sys

import aics_tlog  # type: ignore[import-not-found]  # found where the test puts it


def main() -> None:
    """Read {vkey, checkpoint, old, tiles, entries: {index: [entry, hashes]}} on standard input; exit 1 on a fault."""
    asked = json.load(sys.stdin)
    key = aics_tlog.parse_vkey(asked["vkey"])
    heads = {}
    for name in ("checkpoint", "old"):
        result = aics_tlog.verify_checkpoint(aics_tlog.parse_note(asked[name]), key)
        if not result.ok:
            sys.exit(f"{name}: {result.error}")
        heads[name] = aics_tlog.parse_checkpoint(aics_tlog.parse_note(asked[name]).text)
    head, old = heads["checkpoint"], heads["old"]
    tiles = aics_tlog.FileSystemTileReader(asked["tiles"])
    report = aics_tlog.audit_tiles(tiles, head.size, head.root)
    growth = aics_tlog.consistency_proof_from_tiles(tiles, old.size, head.size)
    if not aics_tlog.verify_consistency(old.size, head.size, old.root, head.root, growth):
        sys.exit("the log did not grow from the old checkpoint")
    for index, (entry, hashes) in asked["entries"].items():
        path = [base64.b64decode(one) for one in hashes]
        if not aics_tlog.verify_leaf_inclusion(base64.b64decode(entry), int(index), head.size, path, head.root):
            sys.exit(f"entry {index} is not in the log")
    print(report.bundles)  # noqa: T201 - its answer


main()
