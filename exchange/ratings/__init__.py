"""The rating centre: who may ask about whom is granted, and every question is kept."""
