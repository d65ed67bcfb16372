"""Option chains: slices of the log and the database, priced, and what is asked and answered of them."""
