"""The page at `/`."""

from flask import Blueprint

public = Blueprint("console", __name__, template_folder="templates", static_folder="static", static_url_path="/console")


@public.get("/")
def first_page() -> str:
    """What the exchange holds."""
    return "<!doctype html><title>Receivables exchange</title>"
