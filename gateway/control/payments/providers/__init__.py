"""Payment providers: base.py says what one is, each other module is one, open.py makes those that are enabled."""
