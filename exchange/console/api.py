"""The page at `/`."""

from flask import Blueprint

from exchange.http import services

public = Blueprint("console", __name__, template_folder="templates", static_folder="static", static_url_path="/console")


@public.get("/")
def first_page() -> str:
    """What the exchange holds."""
    return str(services().settings.home)
