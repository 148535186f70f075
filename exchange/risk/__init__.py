"""What is known of payers, what it says about an asset, and how much one obligor may owe."""
