"""The tables of the database, and the SQL of each."""
