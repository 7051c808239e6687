"""Everything a user can ask for, as functions."""
