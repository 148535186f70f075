"""What a bank calls the exchange with: `Exchange` has a method an operation, written from the contract."""

from exchange.client.operations import Exchange
from exchange.client.transport import Problem, Unanswered

__all__ = ["Exchange", "Problem", "Unanswered"]
