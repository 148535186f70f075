"""Double-entry books for money and title: accounts, transfers, holds, readings and the checker.

Every write is one stored call in the caller's transaction (ledger/sql/books_v1.sql); nothing here commits.
"""

from ledger.books.accounts import Account, AccountDiffers, InvalidAccount, open_accounts
from ledger.books.checker import Break, check
from ledger.books.holds import (
    HoldMismatch,
    HoldRequest,
    HoldResolved,
    InvalidResolution,
    Resolution,
    UnknownHold,
    hold,
    resolve_holds,
)
from ledger.books.posting import (
    BalanceOutOfRange,
    InsufficientFunds,
    InvalidTransfer,
    KeyReused,
    Leg,
    Posted,
    Transfer,
    Unbalanced,
    UnknownAccount,
    post,
)
from ledger.books.queries import (
    CommodityTotal,
    Entry,
    InvalidPage,
    balance_as_of,
    balances,
    statement,
    trial_balance,
)

__all__ = [
    "Account",
    "AccountDiffers",
    "BalanceOutOfRange",
    "Break",
    "CommodityTotal",
    "Entry",
    "HoldMismatch",
    "HoldRequest",
    "HoldResolved",
    "InsufficientFunds",
    "InvalidAccount",
    "InvalidPage",
    "InvalidResolution",
    "InvalidTransfer",
    "KeyReused",
    "Leg",
    "Posted",
    "Resolution",
    "Transfer",
    "Unbalanced",
    "UnknownAccount",
    "UnknownHold",
    "balance_as_of",
    "balances",
    "check",
    "hold",
    "open_accounts",
    "post",
    "resolve_holds",
    "statement",
    "trial_balance",
]
