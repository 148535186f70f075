"""The service: one folder for each stage of a receivable's life, on a thin floor."""
