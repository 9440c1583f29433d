"""Where sequence sets come from."""
