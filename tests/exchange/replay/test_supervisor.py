"""What runs an exchange on this machine."""

import socket

import pytest

from exchange.replay.supervisor import LOOPBACK, free_port
from exchange.settings import SettingsError


def test_a_port_in_use_is_refused() -> None:
    """The API's server would share it, and answer for another exchange half of the time."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        with pytest.raises(SettingsError, match="in use"):
            free_port(taken.getsockname()[1])
        assert free_port(0) != taken.getsockname()[1]
