-- The second edition of the books: reversals, holds that expire, rows that only the posting function writes.
-- Stands on books_v1.sql. No percent sign in this file: a driver may take one for a placeholder.

DROP FUNCTION books_post(timestamptz, boolean, text[], date[], text[], int[], text[], text[], bigint[], text[],
                         text[], int[]);
DROP FUNCTION books_refuse_resolutions(text[], text[], int[], text[], bigint[], int[], bigint[], bigint[]);
DROP FUNCTION books_fingerprint(boolean, text, date, text, text);

-- The request as bytes: kind, key, date, one line per leg (path, commodity, amount), memo. No part can hold
-- a line feed and no leg's part a tab, so two requests never share their bytes. A test's vector pins it.
CREATE FUNCTION books_fingerprint(
    p_hold boolean, p_expires_at timestamptz, p_key text, p_effective_date date, p_legs text, p_memo text
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(
        CASE WHEN p_expires_at IS NOT NULL
                 THEN 'hold until ' || to_char(p_expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
             WHEN p_hold THEN 'hold' ELSE 'transfer' END
        || E'\n' || p_key || E'\n'
        || to_char(p_effective_date, 'YYYY-MM-DD') || E'\n' || p_legs || p_memo, 'UTF8'))
$$;

-- Why the resolutions p_holds[i] -> p_outcomes[i] by transfer p_by[i] cannot stand, or null. Called with the
-- reservation accounts locked. p_known holds the id of each transfer that was posted before.
CREATE FUNCTION books_refuse_resolutions(
    p_now timestamptz, p_holds text[], p_outcomes text[], p_by int[], p_keys text[], p_known bigint[],
    p_leg_transfers int[], p_leg_accounts bigint[], p_leg_amounts bigint[]
) RETURNS jsonb LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    refused jsonb;
BEGIN
    SELECT CASE
        WHEN h.transfer_id IS NULL THEN jsonb_build_object('code', 'unknown_hold', 'hold_key', r.key)
        WHEN s.hold_id IS NOT NULL THEN
            jsonb_build_object('code', 'hold_resolved', 'hold_key', r.key, 'outcome', s.outcome)
        WHEN p_known[r.n] IS NOT NULL THEN jsonb_build_object('code', 'key_reused', 'key', p_keys[r.n])
        WHEN r.outcome = 'captured' THEN jsonb_build_object('code', 'hold_expired', 'hold_key', r.key)
        ELSE jsonb_build_object('code', 'hold_not_expired', 'hold_key', r.key) END
    INTO refused
    FROM unnest(p_holds, p_outcomes, p_by) WITH ORDINALITY AS r (key, outcome, n, i)
    LEFT JOIN LATERAL (
        SELECT t.transfer_id, t.expires_at FROM books_transfers t
        WHERE t.key = r.key AND t.hold AND t.refusal IS NULL OFFSET 0
    ) h ON true
    LEFT JOIN LATERAL (
        SELECT * FROM books_resolutions b WHERE b.hold_id = h.transfer_id OFFSET 0
    ) s ON true
    WHERE h.transfer_id IS NULL
       OR (s.hold_id IS NULL AND (
               p_known[r.n] IS NOT NULL
               OR (r.outcome = 'captured' AND h.expires_at <= p_now)
               OR (r.outcome = 'expired' AND (h.expires_at <= p_now) IS NOT TRUE)))
       OR (s.hold_id IS NOT NULL AND (s.transfer_id, s.outcome) IS DISTINCT FROM (p_known[r.n], r.outcome))
    ORDER BY r.i LIMIT 1;
    IF refused IS NOT NULL THEN
        RETURN refused;
    END IF;

    -- Each transfer takes from each reservation account exactly what the holds it resolves had put there.
    SELECT jsonb_build_object('code', 'hold_mismatch', 'key', p_keys[held.n],
                              'path', a.path, 'commodity', a.commodity,
                              'held_minor', held.held_minor, 'taken_minor', held.taken_minor)
    INTO refused
    FROM (
        SELECT r.n, e.account_id, sum(e.amount_minor) AS held_minor, (
            SELECT coalesce(-sum(l.amount), 0)
            FROM unnest(p_leg_transfers, p_leg_accounts, p_leg_amounts) AS l (n, account_id, amount)
            WHERE l.n = r.n AND l.account_id = e.account_id
        ) AS taken_minor
        FROM unnest(p_holds, p_by) AS r (key, n)
        CROSS JOIN LATERAL (
            SELECT d.account_id, d.amount_minor
            FROM books_transfers t JOIN books_entries d USING (transfer_id)
            WHERE t.key = r.key AND d.amount_minor > 0 OFFSET 0
        ) e
        GROUP BY r.n, e.account_id
    ) held
    JOIN books_accounts a USING (account_id)
    WHERE held.held_minor <> held.taken_minor
    ORDER BY held.n, a.path LIMIT 1;
    RETURN refused;
END
$$;

-- What a transfer is to the one who would reverse it.
CREATE FUNCTION books_kind(p_transfer_id bigint, p_hold boolean) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_hold THEN 'hold'
        WHEN EXISTS (SELECT FROM books_resolutions s WHERE s.transfer_id = p_transfer_id) THEN 'end of a hold'
        WHEN EXISTS (SELECT FROM books_reversals v WHERE v.transfer_id = p_transfer_id) THEN 'reversal'
        ELSE 'transfer' END
$$;

-- Why the reversals of p_reversed[i] by transfer p_by[i] cannot stand, or null. Called with the accounts locked
-- that both transfers move. What has a hold's end in it is not undone: nothing would be held where it puts the money.
CREATE FUNCTION books_refuse_reversals(p_reversed text[], p_by int[], p_keys text[], p_known bigint[])
RETURNS jsonb LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT CASE
        WHEN t.transfer_id IS NULL THEN jsonb_build_object('code', 'unknown_transfer', 'key', r.key)
        WHEN t.kind <> 'transfer' THEN jsonb_build_object('code', 'not_reversible', 'key', r.key, 'kind', t.kind)
        WHEN v.by_key IS NOT NULL
            THEN jsonb_build_object('code', 'already_reversed', 'key', r.key, 'reversal_key', v.by_key)
        ELSE jsonb_build_object('code', 'key_reused', 'key', p_keys[r.n]) END
    FROM unnest(p_reversed, p_by) WITH ORDINALITY AS r (key, n, i)
    LEFT JOIN LATERAL (
        SELECT b.transfer_id, books_kind(b.transfer_id, b.hold) AS kind
        FROM books_transfers b WHERE b.key = r.key AND b.refusal IS NULL OFFSET 0
    ) t ON true
    LEFT JOIN LATERAL (
        SELECT b.transfer_id, (SELECT h.key FROM books_transfers h WHERE h.transfer_id = b.transfer_id) AS by_key
        FROM books_reversals b WHERE b.reversed_id = t.transfer_id OFFSET 0
    ) v ON true
    WHERE t.transfer_id IS NULL OR t.kind <> 'transfer' OR v.transfer_id IS DISTINCT FROM p_known[r.n]
    ORDER BY r.i LIMIT 1
$$;

-- Posts a batch of transfers, all or none, each account's legs in the order of the batch. Arrays p_leg_* list
-- the legs in order, p_leg_transfers naming the transfer by its place (from 1); keys differ within a batch.
-- A refusal is returned, not raised: the transaction stays usable, a lack of funds becomes the key's outcome.
-- The application calls this and may write no row of the books itself: it runs with the rights of its owner,
-- and therefore looks for its tables where nobody else can put any.
CREATE FUNCTION books_post(
    p_now timestamptz, p_hold boolean, p_expires timestamptz[], p_keys text[], p_effective_dates date[], p_memos text[],
    p_leg_transfers int[], p_leg_paths text[], p_leg_commodities text[], p_leg_amounts bigint[],
    p_resolved_holds text[], p_resolved_outcomes text[], p_resolved_by int[],
    p_reversed text[], p_reversed_by int[],
    OUT posted_ids bigint[], OUT were_known boolean[], OUT refused jsonb
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    account_ids bigint[];   -- per leg
    missing int;
    prints bytea[];         -- per transfer
    known bigint[];         -- per transfer: its id, when it was posted before
    e_n int[];              -- per entry to write, in the order of (account, version)
    e_leg bigint[];
    e_account bigint[];
    e_version bigint[];
    e_amount bigint[];
    e_after bigint[];
    short_n int;
    at timestamptz;
BEGIN
    SELECT array_agg(l.account_id ORDER BY l.i), min(l.i) FILTER (WHERE l.account_id IS NULL)
    INTO account_ids, missing
    FROM (
        SELECT u.i, (SELECT a.account_id FROM books_accounts a
                     WHERE a.path = u.path AND a.commodity = u.commodity) AS account_id
        FROM unnest(p_leg_paths, p_leg_commodities) WITH ORDINALITY AS u (path, commodity, i)
        OFFSET 0  -- or each lookup is made twice
    ) l;
    IF missing IS NOT NULL THEN
        refused := jsonb_build_object('code', 'unknown_account', 'path', p_leg_paths[missing],
                                      'commodity', p_leg_commodities[missing]);
        RETURN;
    END IF;

    SELECT jsonb_build_object('code', 'unbalanced', 'key', p_keys[l.n], 'commodity', l.commodity,
                              'sum_minor', sum(l.amount))
    INTO refused
    FROM unnest(p_leg_transfers, p_leg_commodities, p_leg_amounts) AS l (n, commodity, amount)
    GROUP BY l.n, l.commodity HAVING sum(l.amount) <> 0 ORDER BY l.n, l.commodity LIMIT 1;
    IF refused IS NOT NULL THEN
        RETURN;
    END IF;

    -- Locked here, read in later statements: waiting for a lock does not refresh the statement's snapshot.
    -- Equal requests have equal accounts, so from here on the first of them has ended.
    PERFORM 1 FROM books_balances WHERE account_id = ANY (account_ids) ORDER BY account_id FOR UPDATE;

    SELECT array_agg(books_fingerprint(p_hold, p_expires[l.n], p_keys[l.n], p_effective_dates[l.n], l.lines,
                                       p_memos[l.n]) ORDER BY l.n)
    INTO prints
    FROM (
        SELECT u.n, string_agg(books_leg_line(u.path, u.commodity, u.amount), '' ORDER BY u.i) AS lines
        FROM unnest(p_leg_transfers, p_leg_paths, p_leg_commodities, p_leg_amounts) WITH ORDINALITY
            AS u (n, path, commodity, amount, i)
        GROUP BY u.n
    ) l;

    SELECT array_agg(t.transfer_id ORDER BY k.n), array_agg(t.transfer_id IS NOT NULL ORDER BY k.n),
           (array_agg(CASE WHEN t.fingerprint = k.print THEN t.refusal
                           ELSE jsonb_build_object('code', 'key_reused', 'key', k.key) END ORDER BY k.n)
            FILTER (WHERE t.fingerprint <> k.print OR t.refusal IS NOT NULL))[1]
    INTO known, were_known, refused
    FROM unnest(p_keys, prints) WITH ORDINALITY AS k (key, print, n)
    LEFT JOIN LATERAL (SELECT * FROM books_transfers b WHERE b.key = k.key OFFSET 0) t ON true;
    IF refused IS NULL AND cardinality(p_resolved_holds) > 0 THEN
        refused := books_refuse_resolutions(p_now, p_resolved_holds, p_resolved_outcomes, p_resolved_by,
                                            p_keys, known, p_leg_transfers, account_ids, p_leg_amounts);
    END IF;
    IF refused IS NULL AND cardinality(p_reversed) > 0 THEN
        refused := books_refuse_reversals(p_reversed, p_reversed_by, p_keys, known);
    END IF;
    IF refused IS NOT NULL OR NOT false = ANY (were_known) THEN
        posted_ids := known;
        RETURN;
    END IF;

    -- Within a transfer what is put into an account comes before what is taken: legs may meet in one account.
    WITH e AS (
        SELECT l.n, l.account_id, l.amount, b.may_overdraw, b.last_recorded_at,
               row_number() OVER (PARTITION BY l.n ORDER BY l.i) AS leg,
               b.version + row_number() OVER w AS version,
               (b.balance_minor + sum(l.amount) OVER w)::bigint AS after
        FROM unnest(p_leg_transfers, account_ids, p_leg_amounts) WITH ORDINALITY
            AS l (n, account_id, amount, i)
        CROSS JOIN LATERAL (SELECT * FROM books_balances x WHERE x.account_id = l.account_id OFFSET 0) b
        WHERE known[l.n] IS NULL
        WINDOW w AS (PARTITION BY l.account_id ORDER BY l.n, l.amount < 0, l.i)
    )
    SELECT array_agg(e.n), array_agg(e.leg), array_agg(e.account_id), array_agg(e.version),
           array_agg(e.amount), array_agg(e.after),
           min(e.n) FILTER (WHERE e.after < 0 AND NOT e.may_overdraw),
           greatest(p_now, max(e.last_recorded_at) + interval '1 microsecond')
    INTO e_n, e_leg, e_account, e_version, e_amount, e_after, short_n, at
    FROM e;

    IF short_n IS NOT NULL THEN
        refused := books_shortfall(short_n, known, p_leg_transfers, account_ids, p_leg_amounts)
                   || jsonb_build_object('key', p_keys[short_n]);
        INSERT INTO books_transfers
            (key, fingerprint, hold, expires_at, effective_date, recorded_at, memo, refusal)
        VALUES (p_keys[short_n], prints[short_n], p_hold, p_expires[short_n], p_effective_dates[short_n], at,
                p_memos[short_n], refused);
        RETURN;
    END IF;

    -- In the order of keys, so that batches that clash on keys wait for each other in one direction.
    WITH header AS (
        INSERT INTO books_transfers (key, fingerprint, hold, expires_at, effective_date, recorded_at, memo)
        SELECT t.key, t.print, p_hold, p_expires[t.n], t.effective_date, at, t.memo
        FROM unnest(p_keys, prints, p_effective_dates, p_memos) WITH ORDINALITY
            AS t (key, print, effective_date, memo, n)
        WHERE known[t.n] IS NULL
        ORDER BY t.key
        RETURNING transfer_id, key
    )
    SELECT array_agg(coalesce(known[k.n], h.transfer_id) ORDER BY k.n) INTO posted_ids
    FROM unnest(p_keys) WITH ORDINALITY AS k (key, n) LEFT JOIN header h USING (key);

    INSERT INTO books_entries
        (transfer_id, leg, account_id, version, amount_minor, balance_after_minor, effective_date,
         recorded_at)
    SELECT posted_ids[e.n], e.leg, e.account_id, e.version, e.amount, e.after, p_effective_dates[e.n], at
    FROM unnest(e_n, e_leg, e_account, e_version, e_amount, e_after)
        AS e (n, leg, account_id, version, amount, after);

    UPDATE books_balances b SET version = e.version, balance_minor = e.after, last_recorded_at = at
    FROM (
        SELECT DISTINCT ON (u.account_id) u.*
        FROM unnest(e_account, e_version, e_after) AS u (account_id, version, after)
        ORDER BY u.account_id, u.version DESC
    ) e
    WHERE b.account_id = e.account_id AND b.account_id = ANY (account_ids);

    INSERT INTO books_resolutions (hold_id, transfer_id, outcome)
    SELECT (SELECT h.transfer_id FROM books_transfers h WHERE h.key = r.key), posted_ids[r.n], r.outcome
    FROM unnest(p_resolved_holds, p_resolved_outcomes, p_resolved_by) AS r (key, outcome, n)
    WHERE known[r.n] IS NULL;

    INSERT INTO books_reversals (reversed_id, transfer_id)
    SELECT (SELECT t.transfer_id FROM books_transfers t WHERE t.key = r.key), posted_ids[r.n]
    FROM unnest(p_reversed, p_reversed_by) AS r (key, n)
    WHERE known[r.n] IS NULL;
END
$$;

-- The same for reversals whoever writes the row: only a plain transfer, and by its exact opposite.
CREATE FUNCTION books_refuse_reversal() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT books_kind(t.transfer_id, t.hold) <> 'transfer' OR t.refusal IS NOT NULL
        FROM books_transfers t WHERE t.transfer_id = NEW.reversed_id)
       OR EXISTS (
           SELECT FROM books_entries e WHERE e.transfer_id IN (NEW.reversed_id, NEW.transfer_id)
           GROUP BY e.account_id HAVING sum(e.amount_minor) <> 0
       ) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'books_reversals_opposite',
            MESSAGE = 'transfer ' || NEW.transfer_id || ' does not reverse ' || NEW.reversed_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER books_reversals_opposite AFTER INSERT ON books_reversals
    FOR EACH ROW EXECUTE FUNCTION books_refuse_reversal();
CREATE TRIGGER books_reversals_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON books_reversals
    FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change();

-- An account's balance row is born with the owner's rights too.
ALTER FUNCTION books_bear_balances() SECURITY DEFINER SET search_path = public, pg_temp;
