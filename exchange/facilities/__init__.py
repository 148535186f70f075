"""Pools with tranches: a facility buys as a funder, and funders hold its tranches."""
