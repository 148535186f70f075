"""Every day: what two places say of the same thing, compared; where they differ is a break with an owner and an age."""
