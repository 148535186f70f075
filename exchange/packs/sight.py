"""What a funder may see of the exchange, as the SQL of its pack. Nothing is in it that is not named here.

`seen` are the assets that were ever in a pool of the funder, and those that they were split off from (`above`). Of one
that left its sight unbought, or went on to another holder, it has what was known until then. Who owes an asset is in it
for assets that it held. `origin` are the receivables behind them.
"""

from exchange.packs import journal
from exchange.packs.queries import Part, as_lines
from exchange.packs.tables import RECORDS, file_of, order_of, packed

WITHHELD = ("com_withheld_seller", "com_withheld_obligor")
"""The companies that stand for those a funder may not know."""

PREPARE = (
    """
    CREATE TEMP TABLE seen ON COMMIT DROP AS
    SELECT asset_id, root_id, held, bought_from, pool_id, offered_minor, until, until IS NULL AS stays, false AS above,
           known_version,
           coalesce((SELECT min(event.sequence) FROM asset_event AS event
                     WHERE event.asset_id = sight.asset_id AND event.recorded_at >= sight.until), 2147483647) AS before
    FROM (
        SELECT asset_id, root_id, bool_or(bought_on IS NOT NULL) AS held,
               min(pool.created_at) FILTER (WHERE bought_on IS NOT NULL) AS bought_from,
               (array_agg(pool.pool_id ORDER BY pool.created_at DESC, pool.pool_id))[1] AS pool_id,
               (array_agg(pool_asset.face_minor ORDER BY pool.created_at DESC, pool.pool_id))[1] AS offered_minor,
               max(pool_asset.schedule_version) AS known_version,
               CASE WHEN bool_or(claim.pool_id = pool_asset.pool_id) THEN NULL
                    ELSE max(coalesce(released_at, pool.created_at)) END AS until
        FROM pool_asset
        JOIN pool ON pool.pool_id = pool_asset.pool_id
        JOIN claim USING (asset_id)
        WHERE pool.funder_id = %(funder)s
        GROUP BY asset_id, root_id
    ) AS sight
    """,
    "ALTER TABLE seen ADD PRIMARY KEY (asset_id)",
    """
    INSERT INTO seen (asset_id, root_id, held, stays, above, before)
    WITH RECURSIVE split AS (
        SELECT claim.parent_id AS asset_id, claim.root_id, held
        FROM seen JOIN claim USING (asset_id) WHERE claim.parent_id IS NOT NULL
        UNION
        SELECT claim.parent_id, claim.root_id, held
        FROM split JOIN claim USING (asset_id) WHERE claim.parent_id IS NOT NULL
    )
    SELECT asset_id, root_id, bool_or(held), bool_or(held), true, CASE WHEN bool_or(held) THEN 2147483647 ELSE 0 END
    FROM split GROUP BY asset_id, root_id
    ON CONFLICT DO NOTHING
    """,
    "CREATE TEMP TABLE origin ON COMMIT DROP AS SELECT root_id AS asset_id, bool_or(held) AS held FROM seen GROUP BY 1",
    "ALTER TABLE origin ADD PRIMARY KEY (asset_id)",
    *journal.PREPARE,
)
"""Run in the snapshot, in this order, before the files are read; they go with it."""

TAPE = """
    SELECT '{"disclosures":[' || CASE WHEN shown THEN '"' || replace(disclosures, '~', '","') || '"' ELSE '' END
           || '],"index":' || log_index || ',"jws":"' || jws || '"}'
    FROM (
        SELECT event.*, disclosures <> '' AND held
               AND (kind NOT IN ('asset.assigned', 'asset.transferred') OR recorded_at >= bought_from) AS shown
        FROM asset_event AS event JOIN seen USING (asset_id) WHERE sequence < before
        UNION ALL
        SELECT event.*, false FROM asset_event AS event WHERE asset_id = 'keys'
    ) AS record
    ORDER BY asset_id COLLATE "C", sequence
"""

OF_HOLDER = """
    facility_id IN (
        SELECT tranche.facility_id FROM tranche JOIN tranche_holding USING (tranche_id)
        WHERE tranche_holding.funder_id = %(funder)s)
"""
FILES = {
    "virtual_clock": "SELECT clock_id, moment FROM virtual_clock",
    "originator": """
        SELECT originator_id, name, created_at FROM originator
        WHERE originator_id IN (SELECT originator_id FROM origin JOIN receivable USING (asset_id))
    """,
    "funder": "SELECT funder_id, name, deposit_reference, created_at FROM funder WHERE funder_id = %(funder)s",
    "company": f"""
        SELECT company_id, row_number() OVER (ORDER BY company_id COLLATE "C") AS number, scheme, namespace, value,
               timestamptz '1970-01-01' AS created_at
        FROM (
            SELECT company_id, scheme, namespace, value FROM company WHERE company_id IN (
                SELECT unnest(ARRAY[seller_id, obligor_id]) FROM origin JOIN receivable USING (asset_id) WHERE held
                UNION SELECT holder_id FROM seen JOIN claim USING (asset_id) WHERE held
                UNION SELECT unnest(ARRAY[from_id, to_id]) FROM seen JOIN endorsement USING (asset_id) WHERE held)
            UNION ALL VALUES ('{WITHHELD[0]}', 'platform', 'withheld', 'seller'),
                             ('{WITHHELD[1]}', 'platform', 'withheld', 'obligor')
        ) AS known
    """,  # noqa: S608 - names of ours
    "receivable": f"""
        SELECT asset_id, originator_id, CASE WHEN held THEN seller_id ELSE '{WITHHELD[0]}' END AS seller_id,
               CASE WHEN held THEN obligor_id ELSE '{WITHHELD[1]}' END AS obligor_id,
               CASE WHEN held THEN invoice_number ELSE '' END AS invoice_number,
               CASE WHEN held THEN documents ELSE '[]' END AS documents,
               product, currency, face_minor, issue_date, due_date, recourse, submitted_at, schedule, divisible
        FROM receivable JOIN origin USING (asset_id)
    """,  # noqa: S608 - names of ours
    "document": """
        SELECT asset_id, kind, sha256, name, media_type, size_bytes, 'withheld' AS added_by, added_at
        FROM document JOIN origin USING (asset_id) WHERE held
    """,
    "correction": """
        SELECT asset_id, number, corrects, reason, fields, recorded_at FROM correction JOIN origin USING (asset_id)
        WHERE held
    """,
    "confirmation": """
        SELECT asset_id, outcome, grade, confirmed_date, face_minor, due_date, reason_code, evidence, recorded_at
        FROM confirmation JOIN origin USING (asset_id)
    """,
    "decision": r"""
        SELECT asset_id, model_version, '\x'::bytea AS features, pd_ppm, late_ppm, grade, days_late, lgd_bps,
               expected_loss_ppm, reasons, decided_at
        FROM decision JOIN origin USING (asset_id)
    """,
    "mandate": """
        SELECT mandate_id, version, funder_id, name, terms, effective_at, entered_at, ended
        FROM mandate WHERE funder_id = %(funder)s
    """,
    "clearing_round": """
        SELECT round_id, cut_off_at, '' AS seed, own.assets AS asset_count, own.assets AS matched_count,
               '{}'::jsonb AS matched_face, state, finished_at
        FROM clearing_round JOIN (
            SELECT round_id, count(*) AS assets FROM pool JOIN pool_asset USING (pool_id)
            WHERE funder_id = %(funder)s GROUP BY round_id
        ) AS own USING (round_id)
    """,
    "pool": """
        SELECT pool_id, round_id, mandate_id, mandate_version, funder_id, currency, created_at
        FROM pool WHERE funder_id = %(funder)s
    """,
    "claim": f"""
        SELECT asset_id, claim.root_id, parent_id, CASE WHEN held THEN holder_id ELSE '{WITHHELD[0]}' END AS holder_id,
               held_since, claim.currency, due_date, listed_at,
               CASE WHEN above AND NOT held THEN 0 ELSE face_minor END AS face_minor,
               CASE WHEN above OR stays THEN outstanding_minor WHEN held THEN 0 ELSE offered_minor END
                   AS outstanding_minor,
               CASE WHEN stays THEN encumbered_minor ELSE 0 END AS encumbered_minor,
               CASE WHEN above OR stays THEN state WHEN held THEN 'closed' ELSE 'free' END AS state,
               CASE WHEN stays THEN own.pool_id WHEN held THEN seen.pool_id END AS pool_id,
               CASE WHEN stays THEN schedule_version ELSE known_version END AS schedule_version,
               stays AND disputed AS disputed
        FROM claim
        JOIN seen USING (asset_id)
        LEFT JOIN pool AS own ON own.pool_id = claim.pool_id AND own.funder_id = %(funder)s
    """,  # noqa: S608 - names of ours
    "instalment": """
        SELECT asset_id, version, number, due_date, amount_minor FROM instalment JOIN seen USING (asset_id)
        WHERE stays OR version <= known_version
    """,
    "endorsement": """
        SELECT asset_id, hop, from_id, to_id, recourse, effective_date, recorded_at
        FROM endorsement JOIN seen USING (asset_id) WHERE held AND (stays OR recorded_at < until)
    """,
    "encumbrance": """
        SELECT encumbrance_id, entry, asset_id, beneficiary, kind, ground, priority, amount_minor, live_minor,
               entered_at, released_at, release_reason
        FROM encumbrance JOIN seen USING (asset_id) WHERE held AND stays
    """,
    "assignment_notice": """
        SELECT notice_id, pool_id, funder_id, originator_id, obligor_id, currency, asset_count, amount_minor, text,
               digest, given_on, acknowledged_on, acknowledged_by, evidence
        FROM assignment_notice WHERE funder_id = %(funder)s
    """,
    "noticed_asset": """
        SELECT notice_id, asset_id FROM noticed_asset JOIN assignment_notice USING (notice_id)
        WHERE funder_id = %(funder)s
    """,
    "filing": """
        SELECT asset_id, funder_id, number, filed_on, expires_on, recorded_at FROM filing WHERE funder_id = %(funder)s
    """,
    "pool_asset": """
        SELECT pool_id, asset_id, pool_asset.mandate_id, face_minor, price_minor, discount_minor, holdback_minor,
               rate_bps, collected_minor, diluted_minor, written_off_minor, charged_off_on, bought_on, released_at,
               pool_asset.schedule_version
        FROM pool_asset JOIN pool USING (pool_id) WHERE funder_id = %(funder)s
    """,
    "offer": """
        SELECT offer_id, pool_id, funder_id, held_minor, made_at, valid_until, outcome, reason, answered_by,
               answered_at, purchased_on
        FROM offer WHERE funder_id = %(funder)s
    """,
    "servicing_fact": """
        SELECT asset_id, business_date, kind, revision, days_past_due, outstanding_minor, recorded_at
        FROM servicing_fact JOIN seen USING (asset_id) WHERE stays OR recorded_at < until
    """,
    "servicing_withdrawal": """
        SELECT asset_id, business_date, kind, revision, withdrawn_on, recorded_at
        FROM servicing_withdrawal JOIN seen USING (asset_id) WHERE stays OR recorded_at < until
    """,
    "accrual": """
        SELECT funder_id, currency, business_date, earned_to_date_minor, recorded_at FROM accrual
        WHERE funder_id = %(funder)s
    """,
    "consent_policy": """
        SELECT funder_id, version, terms, 'withheld' AS set_by, set_at FROM consent_policy WHERE funder_id = %(funder)s
    """,
    "forbearance": """
        SELECT forbearance_id, asset_id, forbearance.root_id, originator_id, funder_id, kind, from_date, until_date,
               instalments, reason, 'withheld' AS proposed_by, proposed_at, outcome, answer_reason, answered_by,
               answered_at, effective_on, schedule_version, previous_version, previous_due_date
        FROM forbearance JOIN seen USING (asset_id)
        WHERE funder_id = %(funder)s OR (funder_id IS NULL AND held AND (stays OR proposed_at < until))
    """,
    "receipt": """
        SELECT receipt_id, bank_reference, value_date, reversed_on, currency,
               coalesce(share.minor, amount_minor) AS amount_minor,
               coalesce(share.minor, applied_minor) AS applied_minor,
               CASE WHEN share.minor IS NULL THEN charged_minor ELSE 0 END AS charged_minor,
               CASE WHEN share.minor IS NULL THEN recovered_minor ELSE 0 END AS recovered_minor,
               payer_name, reference, outcome, asset_id, funder_id, recorded_at
        FROM receipt
        LEFT JOIN seen USING (asset_id)
        LEFT JOIN LATERAL (
            SELECT sum(receipt_share.amount_minor)::bigint AS minor
            FROM receipt_share JOIN seen AS part USING (asset_id)
            WHERE receipt_share.receipt_id = receipt.receipt_id AND part.held
        ) AS share ON true
        WHERE funder_id = %(funder)s OR share.minor IS NOT NULL
           OR (held AND NOT above AND (stays OR recorded_at < until))
    """,
    "receipt_share": """
        SELECT receipt_id, asset_id, amount_minor FROM receipt_share JOIN seen USING (asset_id) WHERE held
    """,
    "credit_note": """
        SELECT asset_id, number, amount_minor, reason, issue_date, shortfall_minor, paid_minor, recorded_at
        FROM credit_note JOIN seen USING (asset_id) WHERE held AND (stays OR recorded_at < until)
    """,
    "charge": """
        SELECT charge_id, asset_id, kind, reference, amount_minor, paid_minor, from_date, to_date,
               CASE WHEN entered_by IS NOT NULL THEN 'withheld' END AS entered_by, recorded_at
        FROM charge JOIN seen USING (asset_id) WHERE held AND (stays OR recorded_at < until)
    """,
    "debt": """
        SELECT asset_id, cause, reference, creditor_id, debtor_id, funder_id, debt.currency, amount_minor, paid_minor,
               released_minor, due_date, recorded_at
        FROM debt JOIN seen USING (asset_id) WHERE held AND funder_id = %(funder)s
    """,
    "write_off": """
        SELECT asset_id, number, cause, reason, amount_minor, funder_minor, recovered_minor, recovered_funder_minor,
               funder_id, write_off.pool_id, holder_id, business_date,
               CASE WHEN decided_by IS NOT NULL THEN 'withheld' END AS decided_by, recorded_at
        FROM write_off JOIN seen USING (asset_id) WHERE held AND funder_id = %(funder)s
    """,
    "recovery": """
        SELECT receipt_id, asset_id, number, recovery.amount_minor, recovery.funder_minor
        FROM recovery JOIN seen USING (asset_id) JOIN write_off USING (asset_id, number)
        WHERE held AND stays AND write_off.funder_id = %(funder)s
    """,
    "dispute": """
        SELECT asset_id, number, amount_minor, reason, statement, 'withheld' AS opened_by, opened_on, opened_at,
               outcome, credited_minor, note_number, finding,
               CASE WHEN resolved_by IS NOT NULL THEN 'withheld' END AS resolved_by, resolved_at
        FROM dispute JOIN seen USING (asset_id) WHERE held AND stays
    """,
    "repurchase": """
        SELECT repurchase_id, asset_id, funder_id, holder_id, cause, reason, state, price_minor,
               'withheld' AS proposed_by, proposed_at, answer,
               CASE WHEN answered_by IS NOT NULL THEN 'withheld' END AS answered_by, answered_at, done_on
        FROM repurchase JOIN seen USING (asset_id) WHERE held AND funder_id = %(funder)s
    """,
    "tranche_holding": """
        SELECT tranche_id, funder_id, committed_minor, principal_minor, lost_minor, interest_paid_minor
        FROM tranche_holding WHERE funder_id = %(funder)s
    """,
    "tranche_movement": """
        SELECT tranche_id, funder_id, number, kind, amount_minor, business_date, transfer, recorded_at
        FROM tranche_movement WHERE funder_id = %(funder)s
    """,
    "called_share": """
        SELECT call_id, funder_id, amount_minor, paid_on FROM called_share WHERE funder_id = %(funder)s
    """,
    "redemption": """
        SELECT redemption_id, tranche_id, funder_id, amount_minor, paid_minor, asked_on, asked_at, outcome, ended_on
        FROM redemption WHERE funder_id = %(funder)s
    """,
    "facility": f"""
        SELECT facility_id, 'fnd_withheld' AS funder_id, mandate_id, name, currency, opened_on,
               'withheld' AS created_by, created_at
        FROM facility WHERE {OF_HOLDER}
    """,  # noqa: S608 - names of ours
    "tranche": f"""
        SELECT tranche_id, facility_id, name, kind, rank, size_minor, rate_bps, day_count, min_subordination_bps,
               per_loss_minor, per_loss_ppm
        FROM tranche WHERE {OF_HOLDER}
    """,  # noqa: S608 - same
    "capital_call": """
        SELECT call_id, tranche_id, amount_minor, called_on, due_date, 'withheld' AS called_by, called_at
        FROM capital_call WHERE call_id IN (SELECT call_id FROM called_share WHERE funder_id = %(funder)s)
    """,
    "distribution": f"""
        SELECT facility_id, payment_date, state, available_minor, profit_minor, fees_minor, waterfall, paid_on,
               recorded_at
        FROM distribution WHERE {OF_HOLDER}
    """,  # noqa: S608 - same
    "facility_rules": f"""
        SELECT facility_id, version, terms, announced_on, effective_on, applied_on, withdrawn_on, 'withheld' AS set_by,
               set_at
        FROM facility_rules WHERE {OF_HOLDER}
    """,  # noqa: S608 - same
    "facility_fact": f"""
        SELECT facility_id, number, axis, value, test, reason, numbers, business_date, recorded_at
        FROM facility_fact WHERE {OF_HOLDER}
    """,  # noqa: S608 - same
    "facility_day": f"""
        SELECT facility_id, business_date, figures, recorded_at FROM facility_day WHERE {OF_HOLDER}
    """,  # noqa: S608 - same
    "funder_event": """
        SELECT funder_id, sequence, event_id, body, digest, recorded_at FROM funder_event WHERE funder_id = %(funder)s
    """,
    "funder_stream_head": """
        SELECT funder_id, sequence, digest, settled_until FROM funder_stream_head WHERE funder_id = %(funder)s
    """,
    "settlement": """
        SELECT funder_id, sequence, transfer_id, type, log_index, business_date, recorded_at, answer, reason,
               CASE WHEN answered_by IS NOT NULL THEN 'withheld' END AS answered_by, answered_at
        FROM settlement WHERE funder_id = %(funder)s
    """,
    "settlement_day": """
        SELECT funder_id, business_date, closing, events, digest, csv_digest, closed_at
        FROM settlement_day WHERE funder_id = %(funder)s
    """,
    "asset_event": """
        SELECT asset_id, sequence, kind, log_index AS pending_id, log_index, recorded_at
        FROM asset_event LEFT JOIN seen USING (asset_id) WHERE sequence < before OR asset_id = 'keys'
    """,
    "signing_key": """
        SELECT kid, use, ordinal, public_key, 'elsewhere' AS store, kid AS label, introduced_at, activated_at,
               superseded_at, retired_at, compromised_since, in_force_index
        FROM signing_key
    """,
    "log_checkpoint": "SELECT size, root, note, published_at FROM log_checkpoint",
    "log_publication": "SELECT size, published_at FROM log_publication",
    "log_cosignature": "SELECT witness, size, time_s, line FROM log_cosignature",
    "auction": """
        SELECT auction_id, currency, opens_at, closes_at, reserve_bps, advance_bps, pricing, min_part_minor, outcome,
               ended_at, seed
        FROM auction WHERE auction_id IN (SELECT auction_id FROM bid WHERE funder_id = %(funder)s)
    """,
    "bid": """
        SELECT bid_id, auction_id, lot, funder_id, mandate_id, held_minor, digest, entered_at, outcome, reason,
               ended_at, opened, rate_bps, taken_minor, pool_id
        FROM bid WHERE funder_id = %(funder)s
    """,
    "listing": """
        SELECT listing_id, funder_id, currency, price_ppm, min_part_minor, listed_at, valid_until, outcome, reason,
               ended_at
        FROM listing WHERE funder_id = %(funder)s
    """,
    "listing_asset": """
        SELECT listing_id, asset_id, outstanding_minor, due_minor, listing_asset.schedule_version, open
        FROM listing_asset JOIN listing USING (listing_id) WHERE funder_id = %(funder)s
    """,
    "trade_side": """
        SELECT trade_id, asset_id, side, funder_id, pool_id, listing_id, currency, face_minor, due_minor, price_minor,
               earned_minor, result_minor, traded_on, recorded_at
        FROM trade_side WHERE funder_id = %(funder)s
    """,
    **journal.FILES,
}
"""For each table that a funder's pack has a file of, its rows. A column that is not named stays at home."""

LEFT_OUT = {
    "others": "what other parties hold, were offered, want and pay; who owes assets that you did not hold",
    "decision.features": "frozen inputs of the score, which speak of the obligor's trade with others",
    "clearing_round": "counts and amounts of the whole market: your own are in their place",
    "books": "accounts of others: summed by commodity into 'counterparty'; numbers count within this pack",
    "claim": "of an asset that left your sight: as it was when it left",
}
"""What a funder's pack has not, or not as the exchange has it: each with why."""


def of_funder() -> list[Part]:
    """The files of one funder's pack: queries with the parameter `funder`, to be run after `PREPARE`."""
    files = [
        Part(file_of(table.name), as_lines(FILES[table.name], order_of(table)))
        for table in packed()
        if table.name in FILES
    ]
    return [Part(RECORDS, TAPE), *files]
