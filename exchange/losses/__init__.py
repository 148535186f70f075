"""When an asset goes wrong: disputes, recourse, charge-off, buying back, writing off, recovering."""
