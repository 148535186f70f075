"""What the operator looks after: the clock, the checks, whether everything is at rest."""
