"""An answer with its proof, in the form that `ledger.verify.certificate` checks without any of this."""

from collections.abc import Sequence
from typing import Any

from exchange.clearing.market import Average, Cap, Market, Share
from exchange.clearing.solve import Answer
from ledger import merkle
from ledger.canonical import canonical_bytes
from ledger.encoding import base64url
from ledger.verify import certificate as form

Document = dict[str, Any]


def certify(market: Market, answer: Answer, *, seed: bytes, secret: bytes) -> Document:
    """The certificate of an answer to a market. `seed` is the public one; parts are salted under `secret`.

    Its bytes are `canonical_bytes` of it; its head is what belongs into the log.
    """
    stated = market_document(market)
    entries = [list(entry) for entry in answer.entries]
    prices = [list(price) for price in answer.prices]
    market_digest = form.digest(stated)
    salts = [form.salt_of(secret, market_digest, mandate) for mandate in range(len(market.mandates))]
    leaves = [form.part_hash(part) for part in form.parts_of(stated, entries, salts)]
    head = {
        "market": market_digest,
        "prices": form.digest(prices),
        "parts": len(leaves),
        "root": base64url(merkle.root(leaves)),
        "value": str(answer.value),
        "bound": str(answer.bound),
        "seed": base64url(seed),
    }
    return {
        "type": form.CERTIFICATE,
        "head": head,
        "market": stated,
        "entries": entries,
        "prices": prices,
        "salts": salts,
    }


def certificate_bytes(document: Document) -> bytes:
    """The file."""
    return canonical_bytes(document)


def head_digest(document: Document) -> str:
    """What the log holds of a certificate, and each extract leads to."""
    return form.digest(document["head"])


def extract_bytes(document: Document, mandates: Sequence[int]) -> bytes:
    """What the funder of these mandates gets."""
    return form.extracts(document, [mandates])[0]


def market_document(market: Market) -> Document:
    """The market as plain integers."""
    held, mandates = market.receivables, market.mandates
    columns = ("face", "tenor", "grade", "product", "sector", "currency", "ask")
    receivables: Document = {name: getattr(held, name).tolist() for name in columns}
    receivables |= {name: getattr(held, name).astype(int).tolist() for name in ("recourse", "split")}
    receivables |= {
        name: {key: one.tolist() for key, one in getattr(held, name).items()} for name in ("keys", "measures")
    }
    names: tuple[str, ...] = ("currency", "max_grade", "max_tenor", "rates", "products", "sectors")
    names += ("smallest", "largest", "recourse_only", "min_pool", "advance", "financed")
    terms = [
        {name: getattr(mandates, name)[one].astype(int).tolist() for name in names} for one in range(len(mandates))
    ]
    limits = [*map(_cap, market.caps), *map(_share, market.shares), *map(_average, market.averages)]
    return {"receivables": receivables, "mandates": terms, "limits": limits}


def _cap(cap: Cap) -> Document:
    named = {"kind": "cap", "name": cap.name, "key": cap.key, "of_price": cap.of_price, "own": cap.own}
    return named | {"group": cap.group.tolist(), "limit": cap.limit.tolist()}


def _share(share: Share) -> Document:
    return {"kind": "share", "name": share.name, "key": share.key, "limit": share.permille.tolist()}


def _average(average: Average) -> Document:
    named = {"kind": "average", "name": average.name, "measure": average.measure, "at_least": average.at_least}
    return named | {"limit": average.limit.tolist(), "applies": average.applies.astype(int).tolist()}
