"""Rounds: free assets and mandates frozen, cleared for the best of all, applied at once, and proved."""
