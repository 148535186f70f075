"""Double-entry books for money and title: accounts, transfers, holds, readings and the checker.

Every write is one stored call in the caller's transaction (ledger/sql); nothing here commits.
"""

from ledger.books.accounts import Account, AccountDiffers, InvalidAccount, open_accounts
from ledger.books.checker import Break, check
from ledger.books.holders import (
    HolderTotal,
    InvalidHolder,
    JournalEntry,
    JournalLine,
    holder_trial_balance,
    journal,
)
from ledger.books.holds import (
    HoldExpired,
    HoldMismatch,
    HoldNotExpired,
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
from ledger.books.reversals import AlreadyReversed, NotReversible, Reversal, UnknownTransfer, reverse

__all__ = [
    "Account",
    "AccountDiffers",
    "AlreadyReversed",
    "BalanceOutOfRange",
    "Break",
    "CommodityTotal",
    "Entry",
    "HoldExpired",
    "HoldMismatch",
    "HoldNotExpired",
    "HoldRequest",
    "HoldResolved",
    "HolderTotal",
    "InsufficientFunds",
    "InvalidAccount",
    "InvalidHolder",
    "InvalidPage",
    "InvalidResolution",
    "InvalidTransfer",
    "JournalEntry",
    "JournalLine",
    "KeyReused",
    "Leg",
    "NotReversible",
    "Posted",
    "Resolution",
    "Reversal",
    "Transfer",
    "Unbalanced",
    "UnknownAccount",
    "UnknownHold",
    "UnknownTransfer",
    "balance_as_of",
    "balances",
    "check",
    "hold",
    "holder_trial_balance",
    "journal",
    "open_accounts",
    "post",
    "resolve_holds",
    "reverse",
    "statement",
    "trial_balance",
]
