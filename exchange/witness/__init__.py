"""A witness of anybody's logs (C2SP tlog-witness): a program of its own, which needs no database."""
