"""What banks send and take: statements in, payment files out, and which line pays what. Pure: bytes in, data out."""
