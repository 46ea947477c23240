"""How we talk to the two ERPs: one HTTP core, one error taxonomy, one folder for each wire form."""
