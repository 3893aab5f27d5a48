"""What a search leaves in the database, and what is read from there afterwards."""
