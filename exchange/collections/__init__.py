"""Getting paid when it is late: cases, tasks, promises, dunning."""
