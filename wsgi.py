"""The WSGI application for any server: `granian --interface wsgi wsgi:app`."""

from exchange import process, settings
from exchange.app import create_app
from exchange.services import open_services

app = create_app(open_services(settings.load()))
process.settle_in()
