"""Who may do what: operators, tokens, and the record of what they did."""
