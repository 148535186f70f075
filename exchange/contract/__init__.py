"""The published contract: what flask-smorest knows of the operations, completed; the client written from it."""
