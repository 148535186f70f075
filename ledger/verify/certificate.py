"""The certificate of a clearing, checked in plain integers: no solver, no database, no library but the JSON reader.

It states a market (receivables, mandates, limits), what was placed, a price for each limit, what that is worth, and a
bound that no placement of this market exceeds. Everything is recomputed: whether each placement is one its mandate
takes, every limit, the value, and the bound from the prices (weak duality: any prices of at least 0 give one).

The file is canonical JSON. `head` is what is published: digests of the market and of the prices, the root of a Merkle
tree with one salted part a mandate, value, bound and counts. An extract has the head and some parts with their
proofs; a part has one mandate's terms, its limits and what it got, and nothing of another's.

Money is in minor units, rates in bps a year, tenors in days. A minor unit of receivable i with mandate j is worth
financed_j + (ask_i - rate_j) x tenor_i; prices are in thousandths of that unit.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any

from ledger import merkle
from ledger.canonical import canonical_bytes, parse_canonical
from ledger.encoding import base64url, parse_base64url
from ledger.errors import LedgerError

CERTIFICATE, EXTRACT = "clearing_certificate/1", "clearing_extract/1"
QUANTUM, PERMILLE, WHOLE_BPS, YEAR_BPS = 1000, 1000, 10_000, 3_600_000
NO_KEY = -1
TERMS = "currency max_grade max_tenor rates products sectors smallest largest recourse_only min_pool advance financed"

Row = dict[str, Any]
Entry = tuple[int, int, int]


class CertificateWrong(LedgerError):
    """The certificate does not hold; the message names the first thing that is wrong."""

    code = "certificate_wrong"


def digest(value: object) -> str:
    """SHA-256 of the canonical bytes, base64url."""
    return base64url(hashlib.sha256(canonical_bytes(value)).digest())


def salt_of(secret: bytes, market_digest: str, mandate: int) -> str:
    """The salt of a mandate's part: HMAC-SHA256 under the exchange's secret, so that no part can be guessed."""
    return base64url(hmac.digest(secret, f"{market_digest}/{mandate}".encode(), "sha256"))


def check(data: bytes) -> dict[str, int]:
    """Check a certificate or an extract; what it has. Refuses `CertificateWrong`, and what is not canonical JSON."""
    document = parse_canonical(data)
    try:
        if document["type"] == CERTIFICATE:
            return check_certificate(document)
        if document["type"] == EXTRACT:
            return check_extract(document)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise CertificateWrong(f"The document lacks or misuses a member: {type(error).__name__} {error}.") from error
    raise CertificateWrong("The document is neither a certificate nor an extract.")


def check_certificate(document: Row) -> dict[str, int]:
    """Check a whole certificate. Refuses `CertificateWrong`."""
    _members(document, "type head market entries prices salts")
    head, market, entries = document["head"], document["market"], document["entries"]
    _members(head, "market prices parts root value bound seed")
    _same("market digest", digest(market), head["market"])
    _same("prices digest", digest(document["prices"]), head["prices"])
    check_market(market)
    _same("value", check_entries(market, entries, range(len(market["mandates"]))), _integer(head["value"], "value"))
    stated = _integer(head["bound"], "bound")
    _same("bound", bound_of(market, document["prices"]), stated)
    _same("number of parts", len(market["mandates"]), head["parts"])
    _same("number of salts", len(market["mandates"]), len(document["salts"]))
    leaves = [part_hash(part) for part in parts_of(market, entries, document["salts"])]
    _same("root of the parts", base64url(merkle.root(leaves)), head["root"])
    return {"receivables": len(market["receivables"]["face"]), "mandates": len(leaves), "entries": len(entries)}


def check_extract(document: Row) -> dict[str, int]:
    """Check the parts of an extract against its head. Refuses `CertificateWrong`."""
    _members(document, "type head parts")
    head = document["head"]
    _members(head, "market prices parts root value bound seed")
    value, bound = _integer(head["value"], "value"), _integer(head["bound"], "bound")
    if not 0 <= value <= bound:
        raise CertificateWrong("The value is not within 0..bound.")
    count = 0
    for shown in document["parts"]:
        _members(shown, "part proof")
        part = shown["part"]
        proof = [parse_base64url(one) for one in shown["proof"]]
        root = parse_base64url(head["root"])
        place = _natural(part["mandate"], "mandate")
        merkle.verify_inclusion(part_hash(part), index=place, size=head["parts"], proof=proof, root_hash=root)
        check_part(part)
        count += len(part["entries"])
    return {"mandates": len(document["parts"]), "entries": count}


def check_part(part: Row) -> None:
    """Check that what one mandate got is what it takes, within its own limits. Refuses `CertificateWrong`."""
    _members(part, "mandate salt terms limits receivables entries value")
    market = {"receivables": part["receivables"], "mandates": [part["terms"]], "limits": part["limits"]}
    check_market(market)
    entries = [[place, 0, amount] for place, amount in part["entries"]]
    _same(f"value of mandate {part['mandate']}", check_entries(market, entries, range(1)), int(part["value"]))


def check_market(market: Row) -> None:
    """Check that a market's columns fit together. Refuses `CertificateWrong`."""
    held, mandates = market["receivables"], market["mandates"]
    count = len(held["face"])
    _members(held, "face tenor grade product sector currency ask recourse split keys measures")
    columns = [held[name] for name in ("face", "tenor", "grade", "product", "sector", "currency", "ask")]
    for column in [*columns, held["recourse"], held["split"], *held["keys"].values(), *held["measures"].values()]:
        if len(column) != count or not all(type(one) is int and one >= 0 for one in column):
            raise CertificateWrong("A column of the receivables is too short or has what is not a count.")
    for terms in mandates:
        _members(terms, TERMS)
    for limit in market["limits"]:
        if limit["kind"] not in {"cap", "share", "average"}:
            raise CertificateWrong(f"Limit {limit['name']}: no such kind.")
        if limit["kind"] == "cap":
            _same(f"groups of {limit['name']}", len(mandates), len(limit["group"]))
        else:
            _same(f"limits of {limit['name']}", len(mandates), len(limit["limit"]))


def fits(held: Row, terms: Row, place: int) -> bool:
    """Whether a mandate takes a receivable at all."""
    grade, face = held["grade"][place], held["face"][place]
    return (
        held["currency"][place] == terms["currency"]
        and grade <= terms["max_grade"]
        and held["tenor"][place] <= terms["max_tenor"]
        and terms["smallest"] <= face <= terms["largest"]
        and bool(terms["products"][held["product"][place]])
        and bool(terms["sectors"][held["sector"][place]])
        and bool(held["ask"][place] >= terms["rates"][grade])
        and bool(held["recourse"][place] or not terms["recourse_only"])
    )


def price_of(face: int, amount: int, *, rate: int, tenor: int, advance: int) -> int:
    """What is paid for an amount of a face: the discount of the whole is rounded up, of a part down."""
    paid = amount * advance // WHOLE_BPS
    discount = paid * rate * tenor
    return paid - (-(-discount // YEAR_BPS) if amount == face else discount // YEAR_BPS)


def check_entries(market: Row, entries: Sequence[Sequence[int]], mandates: Iterable[int]) -> int:
    """Check every placement and every limit; what it is all worth. Refuses `CertificateWrong`."""
    held, terms = market["receivables"], market["mandates"]
    placed: dict[int, int] = {}
    pools = [0] * len(terms)
    sums: list[dict[tuple[int, int], int]] = [{} for _ in market["limits"]]
    last: Sequence[int] = (-1,)
    value = 0
    for entry in entries:
        place, mandate, amount = entry
        if not list(last) < list(entry) or min(place, mandate, amount) < 0 or mandate >= len(terms):
            raise CertificateWrong(f"Entry {entry} is out of order or out of range.")
        last = entry
        own = terms[mandate]
        _check_entry(held, own, entry)
        placed[place] = placed.get(place, 0) + amount
        if placed[place] > held["face"][place]:
            raise CertificateWrong(f"Receivable {place} is placed with more than its face.")
        rate, tenor = own["rates"][held["grade"][place]], held["tenor"][place]
        pools[mandate] += amount
        value += amount * (own["financed"] + (held["ask"][place] - rate) * tenor)
        price = price_of(held["face"][place], amount, rate=rate, tenor=tenor, advance=own["advance"])
        for total, limit in zip(sums, market["limits"], strict=True):
            added = _added(limit, held, place, mandate, (amount, price), rate)
            if added is not None:
                key, more = added
                total[key] = total.get(key, 0) + more
    for total, limit in zip(sums, market["limits"], strict=True):
        _check_limit(limit, total, pools)
    for mandate in mandates:
        if 0 < pools[mandate] < terms[mandate]["min_pool"]:
            raise CertificateWrong(f"The pool of mandate {mandate} is {pools[mandate]}, less than its least size.")
    return value


def _check_entry(held: Row, terms: Row, entry: Sequence[int]) -> None:
    place, mandate, amount = entry
    face = held["face"][place]
    if not fits(held, terms, place):
        raise CertificateWrong(f"Receivable {place} does not fit mandate {mandate}.")
    if amount != face and not (held["split"][place] and max(1, terms["smallest"]) <= amount < face):
        raise CertificateWrong(f"Receivable {place} with mandate {mandate}: {amount} is no part of it.")


def _added(
    limit: Row, held: Row, place: int, mandate: int, amounts: tuple[int, int], rate: int
) -> tuple[tuple[int, int], int] | None:
    """The sum of a limit in which a placement (amount, price) counts, (group, key), and what it adds."""
    amount, price = amounts
    key = NO_KEY if limit.get("key") is None else held["keys"][limit["key"]][place]
    if limit["kind"] == "cap":
        return (limit["group"][mandate], key), price if limit["of_price"] else amount
    if limit["kind"] == "share":
        return (mandate, key), amount
    if not limit["applies"][mandate]:
        return None
    return (mandate, key), amount * _excess(limit, held, place, mandate, rate)


def _excess(limit: Row, held: Row, place: int, mandate: int, rate: int) -> int:
    measure = rate if limit["measure"] is None else held["measures"][limit["measure"]][place]
    over: int = measure - limit["limit"][mandate]
    return -over if limit["at_least"] else over


def _check_limit(limit: Row, sums: dict[tuple[int, int], int], pools: Sequence[int]) -> None:
    for (group, key), total in sums.items():
        if limit["kind"] == "cap":
            held = total <= cap_of(limit, group, key)
        elif limit["kind"] == "share":
            held = PERMILLE * total <= limit["limit"][group][key] * pools[group]
        else:
            held = total <= 0
        if not held:
            raise CertificateWrong(f"Limit {limit['name']} of {group}, key {key}, is exceeded.")


def cap_of(limit: Row, group: int, key: int) -> int:
    """A cap's amount for a group and key; a row of one amount serves every key."""
    row: list[int] = limit["limit"][group]
    return row[0] if key == NO_KEY or len(row) == 1 else row[key]


def bound_of(market: Row, prices: Sequence[Sequence[Any]]) -> int:
    """The bound that these prices prove, rounded up. Refuses `CertificateWrong` for a price below 0 or of nothing."""
    limits = {limit["name"]: limit for limit in market["limits"]}
    price: dict[str, dict[tuple[int, int], int]] = {name: {} for name in limits}
    back = [0] * len(market["mandates"])
    bound = 0
    for name, group, key, amount in prices:
        if type(amount) is not int or amount < 0 or (group, key) in price[name]:
            raise CertificateWrong(f"The price of {name} of {group}, key {key}, is below 0 or there twice.")
        limit = limits[name]
        price[name][group, key] = amount
        if limit["kind"] == "cap":
            bound += PERMILLE * amount * cap_of(limit, group, key)
        elif limit["kind"] == "share":
            back[group] += amount * limit["limit"][group][key]
        elif not limit["applies"][group]:
            raise CertificateWrong(f"{name} has a price, but no limit, with mandate {group}.")
    priced = [(limit, price[name]) for name, limit in limits.items() if price[name]]
    held = market["receivables"]
    for place in range(len(held["face"])):
        bound += _best(market, held, place, priced, back)
    return -(-bound // (PERMILLE * QUANTUM))


def _best(
    market: Row, held: Row, place: int, priced: Sequence[tuple[Row, dict[tuple[int, int], int]]], back: Sequence[int]
) -> int:
    """What a receivable is worth at most at these prices, placed whole with one mandate or not at all."""
    best, face, tenor, ask = 0, held["face"][place], held["tenor"][place], held["ask"][place]
    grade = held["grade"][place]
    keys = [NO_KEY if limit.get("key") is None else held["keys"][limit["key"]][place] for limit, _ in priced]
    for mandate, terms in enumerate(market["mandates"]):
        if not fits(held, terms, place):
            continue
        rate = terms["rates"][grade]
        unit, paid = QUANTUM * (terms["financed"] + (ask - rate) * tenor), 0
        for (limit, price), key in zip(priced, keys, strict=True):
            amount = price.get((limit["group"][mandate] if limit["kind"] == "cap" else mandate, key))
            if amount is None:
                continue
            if limit["kind"] == "average":
                unit -= amount * _excess(limit, held, place, mandate, rate)
            elif limit["kind"] == "cap" and limit["of_price"]:
                paid += amount
            else:
                unit -= amount
        worth = face * (PERMILLE * unit + back[mandate])
        if paid:
            worth -= PERMILLE * paid * price_of(face, face, rate=rate, tenor=tenor, advance=terms["advance"])
        best = max(best, worth)
    return best


def part_hash(part: Row) -> bytes:
    """The leaf of a mandate's part."""
    return merkle.leaf_hash(canonical_bytes(part))


def parts_of(market: Row, entries: Sequence[Sequence[int]], salts: Sequence[str]) -> list[Row]:
    """The mandates' parts, in order."""
    mine: list[list[tuple[int, int]]] = [[] for _ in market["mandates"]]
    for place, mandate, amount in entries:
        mine[mandate].append((place, amount))
    return [part_of(market, mandate, got, salt) for mandate, (got, salt) in enumerate(zip(mine, salts, strict=True))]


def part_of(market: Row, mandate: int, got: Sequence[tuple[int, int]], salt: str) -> Row:
    """What concerns one mandate: its terms and limits, the receivables it got, and what they are worth.

    Receivables, and all that codes and keys number, have new numbers: no count of others' is told. Of a cap that
    several mandates share only the limits of keys it holds are told; one that is not its funder's own is left out.
    """
    held, terms = market["receivables"], market["mandates"][mandate]
    places = [place for place, _ in got]
    own: Row = {name: [column[place] for place in places] for name, column in held.items() if type(column) is list}
    own["measures"] = {name: [column[place] for place in places] for name, column in held["measures"].items()}
    own["keys"], known = {}, {}
    for name, column in held["keys"].items():
        own["keys"][name], known[name] = _renumbered([column[place] for place in places])
    rates, financed = terms["rates"], terms["financed"]
    value = sum(
        amount * (financed + (held["ask"][place] - rates[held["grade"][place]]) * held["tenor"][place])
        for place, amount in got
    )
    mine = dict(terms)
    for code, of in (("grade", "rates"), ("product", "products"), ("sector", "sectors")):
        if code == "grade" and terms["max_grade"] + 1 < len(rates):
            continue  # grades are in an order that its own limit refers to
        own[code], codes = _renumbered(own[code])
        mine[of] = [terms[of][one] for one in codes]
        if code == "grade":
            mine["max_grade"] = len(codes)
    return {
        "mandate": mandate,
        "salt": salt,
        "terms": mine,
        "limits": [_own_limit(limit, mandate, known) for limit in market["limits"] if limit.get("own", True)],
        "receivables": own,
        "entries": [[place, amount] for place, (_, amount) in enumerate(got)],
        "value": str(value),
    }


def _renumbered(codes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Codes by new numbers, in the order in which they come, and the codes that these stand for."""
    known: dict[int, int] = {}
    renumbered = [known.setdefault(code, len(known)) for code in codes]
    return renumbered, list(known)


def _own_limit(limit: Row, mandate: int, known: dict[str, list[int]]) -> Row:
    own: Row = {}
    if limit["kind"] == "average":
        own = {"limit": [limit["limit"][mandate]], "applies": [limit["applies"][mandate]]}
        return limit | own
    row: list[int] = limit["limit"][limit["group"][mandate] if limit["kind"] == "cap" else mandate]
    if limit["kind"] == "cap":
        own = {"group": [0]}
    if limit["key"] is not None and len(row) > 1:
        row = [row[key] for key in known[limit["key"]]]
    return limit | own | {"limit": [row]}


def extracts(document: Row, holders: Sequence[Sequence[int]]) -> list[bytes]:
    """What each holder of mandates gets of a certificate: the head, their parts, and the proofs of these."""
    parts = parts_of(document["market"], document["entries"], document["salts"])
    leaves = [part_hash(part) for part in parts]

    def shown(mandate: int) -> Row:
        ranges = merkle.inclusion_ranges(mandate, size=len(parts))
        return {"part": parts[mandate], "proof": [base64url(merkle.root(leaves[begin:end])) for begin, end in ranges]}

    return [
        canonical_bytes({"type": EXTRACT, "head": document["head"], "parts": [shown(one) for one in mandates]})
        for mandates in holders
    ]


def _members(value: Row, names: str) -> None:
    if type(value) is not dict or set(value) != set(names.split()):
        raise CertificateWrong(f"An object should have {names}, and nothing else.")


def _same(what: str, found: object, stated: object) -> None:
    if found != stated or type(found) is not type(stated):
        raise CertificateWrong(f"The {what} is {found}, not {stated}.")


def _integer(text: object, what: str) -> int:
    """A decimal in its one spelling: these may exceed what JSON readers take in exactly."""
    if type(text) is not str or str(number := int(text)) != text:
        raise CertificateWrong(f"The {what} is not a decimal integer.")
    return number


def _natural(value: object, what: str) -> int:
    if type(value) is not int or value < 0:
        raise CertificateWrong(f"The {what} is not a count.")
    return value
