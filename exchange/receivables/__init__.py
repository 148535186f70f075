"""From a submitted invoice to a confirmed asset: validation, duplicate guard, the obligor's confirmation."""
