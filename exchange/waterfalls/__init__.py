"""Who is paid first, and who loses first: orders as data. Pure: knows nothing of claims, books or the exchange."""
