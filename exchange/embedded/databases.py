"""Databases made and dropped on a running server."""

import psycopg
from psycopg import sql
from sqlalchemy import make_url


def create_database(url: str, name: str, *, template: str | None = None) -> str:
    """Create the database `name` on the server of `url`, a copy of `template` if given; returns its URL.

    Where nothing waits for the disk (tests), copying files is three times as quick as the default strategy.
    """
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template))
    _execute(url, statement)
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def drop_database(url: str, name: str) -> None:
    """Drop the database `name` if it is there, closing any connection to it; `url` must name another one."""
    _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    parsed = make_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    with psycopg.connect(**arguments, autocommit=True) as connection:
        connection.execute(statement)
