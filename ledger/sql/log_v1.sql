-- Seals the log. Entries and checkpoints are never changed or removed, and a tile only ever grows at its end.
-- No percent sign in this file: the driver would take it for a parameter.

CREATE FUNCTION log_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = TG_TABLE_NAME || ' is sealed: ' || TG_OP || ' refused';
END
$$;

CREATE FUNCTION log_tile_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.level, NEW.index) IS DISTINCT FROM (OLD.level, OLD.index)
        OR substring(NEW.hashes FOR octet_length(OLD.hashes)) IS DISTINCT FROM OLD.hashes THEN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = 'log_tile is sealed: its hashes may only be added to';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER log_leaf_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON log_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed();
CREATE TRIGGER log_checkpoint_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON log_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed();
CREATE TRIGGER log_tile_sealed BEFORE DELETE OR TRUNCATE ON log_tile
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed();
CREATE TRIGGER log_tile_grows BEFORE UPDATE ON log_tile
    FOR EACH ROW EXECUTE FUNCTION log_tile_grows();
