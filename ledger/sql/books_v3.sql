-- The third edition of the books: the same promises at less than half the price. What a row's own trigger or foreign
-- key judged is judged for all rows of a statement at once; each account is named, locked and read once a call.
-- Stands on books_v2.sql. No percent sign in this file: a driver may take one for a placeholder.

DROP FUNCTION books_post(timestamptz, boolean, timestamptz[], text[], date[], text[], int[], text[], text[], bigint[],
                         text[], text[], int[], text[], int[]);

-- A transfer has legs, a refused one has none. At commit, because a header may come before its legs.
CREATE OR REPLACE FUNCTION books_refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.refusal IS NULL) <> EXISTS (SELECT FROM books_entries e WHERE e.transfer_id = NEW.transfer_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'books_transfers_balanced',
            MESSAGE = 'transfer ' || NEW.transfer_id || ' does not balance';
    END IF;
    RETURN NULL;
END
$$;

-- The last word on rule 1, whoever writes the rows: the legs that a statement adds to a transfer are of accounts that
-- are open and sum to zero in each commodity. As no leg ever changes, so do all legs of the transfer.
CREATE OR REPLACE FUNCTION books_refuse_unbalanced_legs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced bigint;
BEGIN
    SELECT l.transfer_id INTO unbalanced
    FROM added l LEFT JOIN LATERAL (
        SELECT a.commodity FROM books_accounts a WHERE a.account_id = l.account_id OFFSET 0
    ) a ON true
    GROUP BY l.transfer_id, a.commodity HAVING sum(l.amount_minor) <> 0 OR a.commodity IS NULL LIMIT 1;
    IF unbalanced IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'books_entries_balanced',
            MESSAGE = 'legs added to transfer ' || unbalanced || ' do not balance';
    END IF;
    RETURN NULL;
END
$$;

-- Legs, the end of a hold and a reversal are written by the transaction that writes their transfer, or never.
CREATE FUNCTION books_refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own bigint := pg_current_xact_id()::text::bigint;
    late bigint;
BEGIN
    SELECT l.transfer_id INTO late
    FROM added l LEFT JOIN LATERAL (
        SELECT t.xid FROM books_transfers t WHERE t.transfer_id = l.transfer_id OFFSET 0
    ) t ON true
    WHERE l.xid <> own OR t.xid IS DISTINCT FROM own LIMIT 1;
    IF late IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_TABLE_NAME || '_in_time',
            MESSAGE = TG_TABLE_NAME || ': transfer ' || late || ' is not of this transaction';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER books_entries_in_time AFTER INSERT ON books_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_late();
CREATE TRIGGER books_resolutions_in_time AFTER INSERT ON books_resolutions
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_late();
CREATE TRIGGER books_reversals_in_time AFTER INSERT ON books_reversals
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_late();

-- Posts a batch of transfers, all or none, each account's legs in the order of the batch. p_paths and p_commodities
-- name each account once; arrays p_leg_* list the legs in order, p_leg_transfers and p_leg_accounts naming transfer
-- and account by their places (from 1); keys differ within a batch. That legs balance, the caller has seen to; else
-- the table raises. A refusal is returned, not raised: the transaction stays usable, a lack of funds becomes the
-- key's outcome. The application calls this and may write no row of the books itself: it runs with the rights of
-- its owner, and therefore looks for its tables where nobody else can put any. Its plans are made once a session:
-- they are all probes of indexes, and planning them costs more than a transfer.
CREATE FUNCTION books_post(
    p_now timestamptz, p_hold boolean, p_expires timestamptz[], p_keys text[], p_effective_dates date[], p_memos text[],
    p_paths text[], p_commodities text[], p_leg_transfers int[], p_leg_accounts int[], p_leg_amounts bigint[],
    p_resolved_holds text[], p_resolved_outcomes text[], p_resolved_by int[],
    p_reversed text[], p_reversed_by int[],
    OUT posted_ids bigint[], OUT were_known boolean[], OUT refused jsonb
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
  SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    account_ids bigint[];   -- per account, as are the next four
    versions bigint[];
    balances bigint[];
    moved_at timestamptz[];
    overdraws boolean[];
    prints bytea[];         -- per transfer
    known bigint[];         -- per transfer: its id, when it was posted before
    e_n int[];              -- per entry to write, in the order of (account, version)
    e_leg bigint[];
    e_account int[];
    e_version bigint[];
    e_amount bigint[];
    e_after bigint[];
    short_n int;
    at timestamptz;
BEGIN
    -- A row that had to be waited for is read as its last writer left it; what else is read needs a later statement,
    -- as waiting does not refresh this one's snapshot. Equal requests have equal accounts, so from here on the first
    -- of them has ended.
    SELECT array_agg(l.account_id ORDER BY l.i), array_agg(l.version ORDER BY l.i),
           array_agg(l.balance_minor ORDER BY l.i), array_agg(l.last_recorded_at ORDER BY l.i),
           array_agg(l.may_overdraw ORDER BY l.i)
    INTO account_ids, versions, balances, moved_at, overdraws
    FROM (
        SELECT u.i, b.*
        FROM unnest(p_paths, p_commodities) WITH ORDINALITY AS u (path, commodity, i)
        JOIN books_accounts a ON a.path = u.path AND a.commodity = u.commodity
        JOIN books_balances b ON b.account_id = a.account_id
        ORDER BY a.account_id FOR UPDATE OF b
    ) l;
    IF cardinality(account_ids) IS DISTINCT FROM cardinality(p_paths) THEN
        SELECT jsonb_build_object('code', 'unknown_account', 'path', u.path, 'commodity', u.commodity) INTO refused
        FROM unnest(p_paths, p_commodities) WITH ORDINALITY AS u (path, commodity, i)
        WHERE NOT EXISTS (SELECT FROM books_accounts a WHERE a.path = u.path AND a.commodity = u.commodity)
        ORDER BY u.i LIMIT 1;
        RETURN;
    END IF;

    SELECT array_agg(books_fingerprint(p_hold, p_expires[l.n], p_keys[l.n], p_effective_dates[l.n], l.lines,
                                       p_memos[l.n]) ORDER BY l.n)
    INTO prints
    FROM (
        SELECT u.n, string_agg(books_leg_line(p_paths[u.a], p_commodities[u.a], u.amount), '' ORDER BY u.i) AS lines
        FROM unnest(p_leg_transfers, p_leg_accounts, p_leg_amounts) WITH ORDINALITY AS u (n, a, amount, i)
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
        refused := books_refuse_resolutions(
            p_now, p_resolved_holds, p_resolved_outcomes, p_resolved_by, p_keys, known, p_leg_transfers,
            books_pick(account_ids, p_leg_accounts), p_leg_amounts);
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
        SELECT l.n, l.a, l.amount,
               row_number() OVER (PARTITION BY l.n ORDER BY l.i) AS leg,
               versions[l.a] + row_number() OVER w AS version,
               (balances[l.a] + sum(l.amount) OVER w)::bigint AS after
        FROM unnest(p_leg_transfers, p_leg_accounts, p_leg_amounts) WITH ORDINALITY AS l (n, a, amount, i)
        WHERE known[l.n] IS NULL
        WINDOW w AS (PARTITION BY l.a ORDER BY l.n, l.amount < 0, l.i ROWS UNBOUNDED PRECEDING)
    )
    SELECT array_agg(e.n), array_agg(e.leg), array_agg(e.a), array_agg(e.version), array_agg(e.amount),
           array_agg(e.after), min(e.n) FILTER (WHERE e.after < 0 AND NOT overdraws[e.a]),
           greatest(p_now, max(moved_at[e.a]) + interval '1 microsecond')
    INTO e_n, e_leg, e_account, e_version, e_amount, e_after, short_n, at
    FROM e;

    IF short_n IS NOT NULL THEN
        refused := books_shortfall(short_n, known, p_leg_transfers, books_pick(account_ids, p_leg_accounts),
                                   p_leg_amounts) || jsonb_build_object('key', p_keys[short_n]);
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
        (transfer_id, leg, account_id, version, amount_minor, balance_after_minor, effective_date, recorded_at)
    SELECT posted_ids[e.n], e.leg, account_ids[e.a], e.version, e.amount, e.after, p_effective_dates[e.n], at
    FROM unnest(e_n, e_leg, e_account, e_version, e_amount, e_after) AS e (n, leg, a, version, amount, after);

    UPDATE books_balances b
    SET version = b.version + e.legs, balance_minor = b.balance_minor + e.moved_minor, last_recorded_at = at
    FROM (
        SELECT account_ids[u.a] AS account_id, count(*) AS legs, sum(u.amount)::bigint AS moved_minor
        FROM unnest(e_account, e_amount) AS u (a, amount) GROUP BY u.a
    ) e
    WHERE b.account_id = e.account_id;

    IF cardinality(p_resolved_holds) > 0 THEN
        INSERT INTO books_resolutions (hold_id, transfer_id, outcome)
        SELECT (SELECT h.transfer_id FROM books_transfers h WHERE h.key = r.key), posted_ids[r.n], r.outcome
        FROM unnest(p_resolved_holds, p_resolved_outcomes, p_resolved_by) AS r (key, outcome, n)
        WHERE known[r.n] IS NULL;
    END IF;
    IF cardinality(p_reversed) > 0 THEN
        INSERT INTO books_reversals (reversed_id, transfer_id)
        SELECT (SELECT t.transfer_id FROM books_transfers t WHERE t.key = r.key), posted_ids[r.n]
        FROM unnest(p_reversed, p_reversed_by) AS r (key, n)
        WHERE known[r.n] IS NULL;
    END IF;
END
$$;

-- The elements of an array at the given places.
CREATE FUNCTION books_pick(p_from bigint[], p_places int[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(p_from[u.place] ORDER BY u.i) FROM unnest(p_places) WITH ORDINALITY AS u (place, i)
$$;
