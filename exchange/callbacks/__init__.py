"""What funders are told: a numbered, hash-linked stream of events each, pushed with a signature and kept."""
