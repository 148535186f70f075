"""The WSGI application for any server: `granian --interface wsgi wsgi:app`."""

from exchange import process, settings
from exchange.app import create_app
from exchange.operations.metrics import open_door
from exchange.sandbox.mounts import Mounts
from exchange.services import open_services

services = open_services(settings.load())
app = Mounts(create_app(services), services, create_app)
process.settle_in()
open_door(services, alive=lambda: True)
