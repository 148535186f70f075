"""A whole exchange of one's own to try things in, with a clock that one moves oneself.

Each sandbox is a database of its own, made from a migrated template: own keys, own log, own books, own day. The main
exchange keeps only who has which (`models`), lets its funder in (`mounts`) and has a keeper live it (`keeper`).
"""
