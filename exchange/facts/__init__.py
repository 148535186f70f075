"""What is known of companies and who controls them: facts with a source, a day, and since when they are known."""
