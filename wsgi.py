"""The WSGI application for any server: `granian --interface wsgi wsgi:app`."""

from exchange import logs, settings
from exchange.app import create_app
from exchange.services import open_services

logs.configure()
app = create_app(open_services(settings.load()))
